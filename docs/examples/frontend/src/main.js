import { apiBase, health, ownDocument, Unavailable } from "./api.js";
import { facts, verdict } from "./facts.js";

const element = (id) => document.getElementById(id);

/** @param {string} state @param {string} summary @param {string} [advice] @param {[string, string][]} [lines] */
function show(state, summary, advice = "", lines = []) {
  element("summary").dataset.state = state;
  element("summary").textContent = summary;
  element("advice").textContent = advice;
  element("advice").hidden = !advice;
  element("facts").replaceChildren(
    ...lines.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = name;
      description.textContent = value;
      return [term, description];
    }),
  );
}

/** @param {string} base */
async function ask(base) {
  // aria-disabled, not disabled: a disabled button would throw away the keyboard's focus.
  if (element("again").ariaDisabled === "true") return;
  element("again").ariaDisabled = "true";
  show("asking", "Asking the control plane how it is …");
  try {
    const data = await health(base);
    const { state, summary } = verdict(data);
    show(state, summary, "", facts(data));
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    show("away", `The control plane gives no answer this page can use. ${error.message}`, error.advice);
  } finally {
    element("again").ariaDisabled = "false";
  }
}

const [config, build] = await Promise.all([ownDocument("/config.json"), ownDocument("/version.json")]);
document.title = element("product").textContent = config.product || "Moorage";
element("version").textContent = build.version ?? "version unknown";

const base = apiBase(config, location);
element("again").addEventListener("click", () => ask(base));
await ask(base);
