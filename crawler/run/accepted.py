"""`[[accepted]]`: the rules by which known gaps count as complete until a date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase

from crawler.config.sections import AcceptedSection
from crawler.snapshot.manifest import AcceptedEntry

# A rule that expires within so many days is warned of.
WARNED_DAYS = 14
# Account and region → the tables of a crawl there.
Places = Iterable[tuple[str, str, Collection[str]]]


class AcceptedRules:
    """The rules of a configuration on one day (UTC). A rule holds until its date, and on that day.

    The first rule that matches a scope covers it. Accounts are matched by ID only, since a member can change its name.
    """

    def __init__(self, rules: Sequence[AcceptedSection], day: date) -> None:
        self._rules = [rule for rule in rules if rule.until >= day]
        self._expired = [rule for rule in rules if rule.until < day]
        self._day = day
        self._by_place: dict[tuple[str, str], list[AcceptedSection]] = {}
        self._known: dict[tuple[str, str], bool] = {}

    def __bool__(self) -> bool:
        """Return whether any rule holds."""
        return bool(self._rules)

    def covering(self, account_id: str, region_id: str, table: str) -> AcceptedSection | None:
        """Return the rule that covers a scope if it isn't whole."""
        rules = self._by_place.get((account_id, region_id))
        if rules is None:
            rules = [rule for rule in self._rules if self._is_at(rule, account_id, region_id)]
            self._by_place[account_id, region_id] = rules
        return next((rule for rule in rules if self._matches(table, rule.table)), None)

    def entries(self, covered: Mapping[AcceptedSection, int]) -> list[AcceptedEntry]:
        """Return the rules that hold, each with the number of scopes that it covers."""
        return [
            AcceptedEntry(
                account=rule.account,
                region=rule.region,
                table=rule.table,
                reason=rule.reason,
                until=rule.until.isoformat(),
                scopes=covered.get(rule, 0),
            )
            for rule in self._rules
        ]

    def matched(self, places: Places) -> dict[AcceptedSection, int]:
        """Return the number of scopes that each rule matches, whole or not. A scope counts for its first rule."""
        found: dict[AcceptedSection, int] = {}
        for account_id, region_id, tables in places if self._rules else ():
            for table in tables:
                rule = self.covering(account_id, region_id, table)
                if rule is not None:
                    found[rule] = found.get(rule, 0) + 1
        return found

    def date_warnings(self) -> list[str]:
        """Return a sentence for each rule that has expired or expires within 14 days."""
        found = [
            f"{described(rule)} expired on {rule.until}: its scopes count as incomplete again; correct the cause, or "
            "renew or remove the rule"
            for rule in self._expired
        ]
        for rule in self._rules:
            if rule.until - self._day <= timedelta(WARNED_DAYS):
                left = (rule.until - self._day).days
                when = "today" if not left else "tomorrow" if left == 1 else f"in {left} days"
                found.append(f"{described(rule)} expires {when} ({rule.until}): correct the cause, or renew the rule")
        return found

    def unmatched_warnings(self, places: Places) -> list[str]:
        """Return a sentence for each rule that matches no scope of a crawl of the whole configuration."""
        if not self._rules:
            return []
        missing = set(self._rules)
        for account_id, region_id, tables in places:
            for rule in tuple(missing):
                if self._is_at(rule, account_id, region_id) and any(self._matches(t, rule.table) for t in tables):
                    missing.discard(rule)
            if not missing:
                return []
        return [
            f"{described(rule)} matches no scope of this crawl; correct its patterns or remove it"
            for rule in self._rules
            if rule in missing
        ]

    def _is_at(self, rule: AcceptedSection, account_id: str, region_id: str) -> bool:
        return self._matches(account_id, rule.account) and self._matches(region_id, rule.region)

    def _matches(self, name: str, pattern: str) -> bool:
        """Return whether a name matches. Most places share their names, so each pair is decided once."""
        found = self._known.get((name, pattern))
        if found is None:
            found = self._known[name, pattern] = fnmatchcase(name, pattern)
        return found


def described(rule: AcceptedSection) -> str:
    """Return the words for a rule in a sentence."""
    place = f"account {rule.account}" + ("" if rule.region == "*" else f", region {rule.region}")
    return f"[[accepted]] for {place}, table {rule.table}"
