/**
 * Whether the control plane can do its work, from what it says of itself.
 *
 * @param {Record<string, unknown>} data the `data` of `GET /api/v1/health`
 * @returns {{state: "well" | "degraded", summary: string}}
 */
export function verdict(data) {
  const missing = [];
  if (data.supabase_ready === false) missing.push("its database");
  if (data.s3_ready === false) missing.push("its object store");
  if (missing.length === 0) return { state: "well", summary: "The control plane is up and well." };
  return { state: "degraded", summary: `The control plane is up, but cannot reach ${missing.join(" and ")}.` };
}

/**
 * @param {Record<string, unknown>} data the `data` of `GET /api/v1/health`
 * @returns {[string, string][]} a name and a value for each line of the page's list
 */
export function facts(data) {
  const told = (value, say = String) => (value === undefined ? "unknown" : say(value));
  const readiness = (ready) => (ready ? "ready" : "not ready");
  return [
    ["Service", told(data.service)],
    ["Version", told(data.version)],
    ["Up for", told(data.uptime_seconds, duration)],
    ["Database", told(data.supabase_ready, readiness)],
    ["Object store", told(data.s3_ready, readiness)],
  ];
}

/**
 * @param {number} seconds
 * @returns {string} its two largest units, as a person would say it
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first === -1) return "0 s";
  return units
    .slice(first, first + 2)
    .map(([unit, size], place) => [Math.floor((place ? whole % units[first][1] : whole) / size), unit])
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}
