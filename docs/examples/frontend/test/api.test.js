import assert from "node:assert/strict";
import { test } from "node:test";
import { apiBase, health, ownDocument, Unavailable } from "../src/api.js";

const answering = (status, body) => async () => new Response(body, { status });

for (const [rule, config, address, expected] of [
  ["the configuration wins", { api: "https://api.acme.example/" }, "https://app.moorage.test", "https://api.acme.example"],
  ["an app. host has an api. sibling", {}, "https://app.moorage.test", "https://api.moorage.test"],
  ["a sibling keeps its port", {}, "http://app.moorage.test:8443", "http://api.moorage.test:8443"],
  ["an empty setting is no setting", { api: "" }, "https://app.moorage.test", "https://api.moorage.test"],
  ["any other host answers for itself", {}, "http://127.0.0.1:5173", ""],
]) {
  test(rule, () => assert.equal(apiBase(config, new URL(address)), expected));
}

test("the envelope's data is what health gives", async () => {
  const fetch = answering(200, '{"success": true, "data": {"version": "7"}}');
  assert.deepEqual(await health("", fetch), { version: "7" });
});

for (const [rule, fetch, words] of [
  ["no connection", async () => { throw new TypeError("fetch failed"); }, /could not be reached/],
  ["a slow answer", async () => { throw new DOMException("", "TimeoutError"); }, /within 8 seconds/],
  ["an error in the envelope", answering(503, '{"success": false, "error": {"message": "No database."}}'), /No database/],
  ["an error without one", answering(502, "<h1>Bad gateway</h1>"), /status 502/],
  ["somebody else's page", answering(200, "<!doctype html>"), /answered by something else/],
  ["somebody else's JSON", answering(200, '{"ok": true}'), /answered by something else/],
]) {
  test(`${rule} is said as it is`, async () => {
    await assert.rejects(health("", fetch), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.match(error.message, words);
      assert.ok(error.advice);
      return true;
    });
  });
}

test("a missing document of the page's own is an empty one", async () => {
  assert.deepEqual(await ownDocument("/config.json", answering(404, "")), {});
  assert.deepEqual(await ownDocument("/config.json", answering(200, "<!doctype html>")), {});
});
