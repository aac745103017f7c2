import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, facts, verdict } from "../src/facts.js";

for (const [seconds, words] of [
  [0, "0 s"], [59.9, "59 s"], [60, "1 min"], [3661, "1 h 1 min"], [3601, "1 h"], [90061, "1 d 1 h"], [-5, "0 s"],
]) {
  test(`${seconds} seconds are ${words}`, () => assert.equal(duration(seconds), words));
}

for (const [supabase, s3, state, words] of [
  [true, true, "well", /up and well/],
  [false, true, "degraded", /cannot reach its database\./],
  [true, false, "degraded", /cannot reach its object store\./],
  [false, false, "degraded", /its database and its object store/],
]) {
  test(`database ${supabase}, store ${s3}: ${state}`, () => {
    const given = verdict({ supabase_ready: supabase, s3_ready: s3 });
    assert.equal(given.state, state);
    assert.match(given.summary, words);
  });
}

test("a fact that is not told is unknown, never a made-up value", () => {
  assert.deepEqual(new Set(facts({}).map(([, value]) => value)), new Set(["unknown"]));
});
