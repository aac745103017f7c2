"""The landing page's text: self-contained, so that it also shows where nothing else can be loaded."""

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Moorage</title>
<style>
  :root { color-scheme: light dark }
  :root { --ink: #16324a; --soft: #5b7186; --line: #d5dee6; --sea: #0b6e8f; --ground: #f7fafc }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e3edf5; --soft: #9bb0c2; --line: #2b4155; --sea: #5cc3e4; --ground: #0f1c28 }
  }
  body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.6 system-ui, sans-serif }
  main { max-width: 40rem; margin: 0 auto; padding: 12vh 1.5rem 4rem }
  h1 { margin: 0; font-size: 2.4rem; letter-spacing: -.02em }
  .version { color: var(--soft); margin: 0 0 2rem }
  dl { border-top: 1px solid var(--line); margin: 2rem 0 0 }
  dl div { display: flex; gap: 1rem; padding: .7rem 0; border-bottom: 1px solid var(--line) }
  dt { flex: 0 0 16rem; max-width: 45% } dd { margin: 0; color: var(--soft) }
  a { color: var(--sea); font-family: ui-monospace, monospace; font-size: .9rem }
</style>
<main>
  <h1>Moorage</h1>
  <p class="version">version {{ version }}{% if environment != "production" %} &middot; {{ environment }}{% endif %}</p>
  <p>This is the control plane of a product that runs on one host. It hands out artifacts, drives agents on
  customers' machines, and keeps secrets that it cannot read. Programs talk to it under <code>/api/v1</code>.</p>
  <dl>
    <div><dt><a href="/api/v1/docs">/api/v1/docs</a></dt><dd>Every operation, to read</dd></div>
    <div><dt><a href="/api/v1/health/live">/api/v1/health/live</a></dt><dd>Is the process alive?</dd></div>
    <div><dt><a href="/api/v1/health/ready">/api/v1/health/ready</a></dt><dd>Do both its stores answer?</dd></div>
    <div><dt><a href="/api/v1/health">/api/v1/health</a></dt><dd>Version, uptime and data backend</dd></div>
  </dl>
</main>
</html>
"""
