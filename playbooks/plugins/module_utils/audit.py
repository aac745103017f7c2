"""What an audit makes of what it was told: a finding for each thing that is not as it must be. Pure functions of facts.

A finding is `{check, what}`. A check that was told nothing is a finding too: silence is no clean bill.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Any

Finding = dict[str, str]
# Answers of the product to a browser. docs/reference/security-checklist.md has the reasons.
HEADERS = {
    "strict-transport-security": r"max-age=(3153[6-9]\d{3}|315[4-9]\d{4}|31[6-9]\d{5}|3[2-9]\d{6}|[4-9]\d{7}|\d{9,})",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY|SAMEORIGIN",
    "referrer-policy": ".+",
}
TELLS = ("server", "x-powered-by", "via")


def found(check: str, lines: Iterable[str]) -> list[Finding]:
    """Findings of one check."""
    return [{"check": check, "what": line} for line in lines]


def certificate(name: str, facts: Mapping[str, Any], now: datetime, days: int) -> list[str]:
    """What is wrong with a name's certificate.

    Args:
        facts: `problem` where the handshake or the chain failed, else `ends`, when it expires.
    """
    if facts.get("problem"):
        return [f"{name}: {facts['problem']}"]
    left = (facts["ends"] - now).days
    return [f"{name}: its certificate ends in {left} days, on {facts['ends']:%Y-%m-%d}"] if left < days else []


def headers(url: str, seen: Mapping[str, str], *, page: bool) -> list[str]:
    """Headers that are absent, weak or talkative.

    Args:
        seen: by their names in lower case.
        page: whether browsers show it: then a policy for its content belongs there too.
    """
    wanted = {**HEADERS, **({"content-security-policy": ".+"} if page else {})}
    out = [
        f"{url}: {name} is {seen.get(name, 'absent')!r}"
        for name, form in wanted.items()
        if not re.match(form, seen.get(name, ""))
    ]
    return out + [f"{url}: the header {name} tells what answers ({seen[name]!r})" for name in TELLS if name in seen]


def ports(seen: Iterable[int], allowed: Collection[int]) -> list[str]:
    """TCP ports that answer from outside and were not declared."""
    return [f"port {port}/tcp is open and nobody declared it" for port in sorted(seen) if port not in allowed]


def unseen(sure: Collection[int], seen: Collection[int], asked: Collection[int]) -> list[str]:
    """Why a scan of ports is not to be believed: it missed some that are open, or saw none at all."""
    if asked and not sure and not seen:
        return ["no port answered at all, so nothing was seen of the host"]
    missed = sorted(set(sure) - set(seen))
    words = f"the scan missed {missed}, which answer when given time: run it again on a quieter machine"
    return [words] if missed else []


def files(seen: Iterable[Mapping[str, Any]]) -> list[str]:
    """Files with secrets that are open to others: `{path, mode, owner, strict, reachable}`.

    A strict one is for its owner alone. Another one may be its group's, and what nobody else can reach is not open.
    """
    return [
        f"{one['path']} has the mode {one['mode']:04o}, so others than {one['owner']} can read it"
        for one in seen
        if one["mode"] & (0o077 if one["strict"] else 0o006 if one["reachable"] else 0)
    ]


def updates(simulated: str, lists_age: float | None) -> list[str]:
    """Packages that have a newer version, by what `apt-get -s upgrade` prints.

    Args:
        lists_age: seconds since apt asked its archives; None where it never did.
    """
    if lists_age is None or lists_age > 2 * 86400:
        asked = "never" if lists_age is None else f"{lists_age / 86400:.0f} days ago"
        return [f"nothing is known of newer packages: apt asked its archives {asked} (`apt-get update`)"]
    lines = re.findall(r"^Inst (\S+) \[([^\]]+)\] \((\S+) ([^)]*)\)", simulated, re.MULTILINE)
    return [
        f"{name} {have} → {newer}{' (security)' if 'security' in origin.lower() else ''}"
        for name, have, newer, origin in lines
    ]


def tables(rows: Iterable[Mapping[str, Any]], without: Collection[str]) -> list[str]:
    """Tables of the application's that row level security does not bind: `{name, enabled, forced, policies}`.

    Args:
        without: patterns of tables that hold nothing of a tenant's.
    """
    out = []
    for row in rows:
        if any(fnmatchcase(row["name"], pattern) for pattern in without):
            continue
        wrong = [word for word, right in (("not enabled", row["enabled"]), ("not forced", row["forced"])) if not right]
        if not row["policies"]:
            wrong.append("without a policy")
        if wrong:
            out.append(f"row level security of the table {row['name']} is {', '.join(wrong)}")
    return out


def role(row: Mapping[str, Any] | None) -> list[str]:
    """What the application's role may do that it must not: `{name, super, bypass, create, owns, trusted}`."""
    if row is None:
        return ["the application's role is not there"]
    wrong = {
        "is a superuser": row["super"],
        "goes around row level security": row["bypass"],
        "may make roles or databases": row["create"],
        f"owns {row['owns']} relation(s)": row["owns"],
        f"belongs to {row['trusted']}": row["trusted"],
    }
    return [f"the application's role {row['name']} {what}" for what, is_so in wrong.items() if is_so]


def backups(targets: Iterable[Mapping[str, Any]], succeeded: Mapping[str, float], now: float, hours: int) -> list[str]:
    """Targets that are not encrypted, or that no backup has reached lately: `{name, encrypted}`."""
    out = []
    for target in targets:
        name, last = target["name"], succeeded.get(target["name"])
        if not target.get("encrypted"):
            out.append(f"what lies on the backup target {name} is not encrypted")
        if last is None or now - last > hours * 3600:
            ago = "never" if last is None else f"{(now - last) / 3600:.0f} h ago"
            out.append(f"the last good backup on {name} was {ago}")
    return out


def vulnerabilities(what: str, report: Mapping[str, Any] | None, problem: str = "") -> list[str]:
    """Known holes in packages, by Trivy's report; None where it had no data to compare with."""
    if report is None:
        return [f"{what}: was not compared with known holes, as there was no data: {problem or 'no reason given'}"]
    results = report.get("Results") or []
    if not any(result.get("Packages") for result in results):
        return [f"{what}: no package was seen in it, so nothing was compared"]
    holes = [each for result in results for each in result.get("Vulnerabilities") or []]
    return sorted({f"{what}: {_hole(each)}" for each in holes})


def _hole(each: Mapping[str, str]) -> str:
    package = f"{each['PkgName']} {each['InstalledVersion']}"
    return f"{each['VulnerabilityID']} {each['Severity'].lower()} in {package}, mended in {each['FixedVersion']}"


def secrets(report: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Secrets in the files of a Trivy report, never themselves: where each stands in git's history.

    Args:
        names: the scanned file's name to what it is in the repository.
    """
    return [
        f"{names.get(result['Target'], result['Target'])}, line {each['StartLine']}: {each['Title']}"
        for result in report.get("Results") or []
        for each in result.get("Secrets") or []
    ]


def judged(findings: Iterable[Finding], waivers: Iterable[Mapping[str, Any]], today: date) -> dict[str, list[Any]]:
    """`open` findings, and those that were `waived`, each with its reason and its end.

    A waiver is `{check, what, reason, until}`; `what` may be a pattern. One without a reason or an end, one that is
    over, and one that nothing needs are findings themselves.
    """
    left, waived, kept = list(findings), [], []
    for waiver in waivers:
        problem, until = _invalid(waiver, today)
        hits = [one for one in left if _covers(waiver, one)] if not problem else []
        if not problem and not hits:
            problem = "nothing needs it any more: take it out"
        if problem:
            kept += found("waivers", [f"{waiver.get('check', '?')} {waiver.get('what', '*')}: {problem}"])
        left = [one for one in left if one not in hits]
        waived += [{**one, "reason": waiver["reason"], "until": str(until)} for one in hits]
    return {"open": left + kept, "waived": waived}


def _covers(waiver: Mapping[str, Any], finding: Finding) -> bool:
    return finding["check"] == waiver["check"] and fnmatchcase(finding["what"], str(waiver.get("what", "*")))


def _invalid(waiver: Mapping[str, Any], today: date) -> tuple[str, date | None]:
    if not waiver.get("check") or not str(waiver.get("reason") or "").strip():
        return "a waiver has a check and a reason", None
    try:
        until = date.fromisoformat(str(waiver.get("until")))
    except ValueError:
        return "a waiver has an end (until: 2027-01-31)", None
    return (f"the waiver ended on {until}", until) if until < today else ("", until)
