"""The result of an evaluation: a table for people, JSON for programs, and what changed since another one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from citestream.evaluate.measures import Mean, Values, difference, means
from graph.errors import SettingsError

MAY_GROW = frozenset({"ms", "citations"})
"""Measures that are told and not judged."""
LESS_IS_BETTER = frozenset({"dangling", "not slices"})


@dataclass
class SetResult:
    """One file of questions: the values of each by its id."""

    name: str
    values: dict[str, Values] = field(default_factory=dict)

    def means(self) -> dict[str, Mean]:
        """The mean of every measure."""
        return means(list(self.values.values()))


@dataclass(frozen=True)
class Report:
    """All sets, and how they were asked."""

    setting: Mapping[str, Any]
    sets: Sequence[SetResult]

    def write(self, path: Path) -> None:
        """Write everything as JSON, which `read` reads."""
        found = {
            "citestream": version("citestream"),
            **self.setting,
            "sets": [
                {
                    "name": one.name,
                    "measures": {name: asdict(mean) for name, mean in one.means().items()},
                    "questions": one.values,
                }
                for one in self.sets
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Report":
        """A report that was written before. Raises SettingsError when it is none."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            sets = [SetResult(one["name"], one["questions"]) for one in found.pop("sets")]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise SettingsError(f"{path} is no result of `citestream eval --out`.") from exc
        return cls(found, sets)

    def table(self) -> str:
        """Every measure of every set with its 95 % interval, as Markdown."""
        lines = ["| set | measure | value | 95 % | questions |", "|---|---|---|---|---|"]
        for one in self.sets:
            for name, mean in one.means().items():
                digits = 0 if name == "ms" else 3
                interval = f"{mean.low:.{digits}f}–{mean.high:.{digits}f}"
                lines.append(f"| {one.name} | {name} | {mean.value:.{digits}f} | {interval} | {mean.n} |")
        return "\n".join(lines)

    def compare(self, before: "Report") -> tuple[str, list[str]]:
        """A table of what changed on the questions that both have, and the measures that became worse for certain.

        For certain: the 95 % interval of the difference lies on the wrong side of 0.
        """
        lines = ["| set | measure | change | 95 % | questions |", "|---|---|---|---|---|"]
        worse = []
        known = {one.name: one.values for one in before.sets}
        for one in self.sets:
            for name in dict.fromkeys(name for values in one.values.values() for name in values):
                change = difference(known.get(one.name, {}), one.values, name)
                if change is None or name in MAY_GROW:
                    continue
                lines.append(
                    f"| {one.name} | {name} | {change.value:+.3f} | {change.low:+.3f}–{change.high:+.3f} | {change.n} |"
                )
                if (change.low > 0) if name in LESS_IS_BETTER else (change.high < 0):
                    worse.append(f"{one.name}: {name}")
        return "\n".join(lines), worse
