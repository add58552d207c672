"""Write docs/settings.md and .env.example from the settings' own descriptions: `make docs`."""

from pathlib import Path

from pydantic import SecretStr

from graph.settings import Settings, env_name

ROOT = Path(__file__).parents[2]
SETTINGS_PAGE = ROOT / "docs" / "settings.md"
ENV_EXAMPLE = ROOT / ".env.example"
HEAD = """\
# Settings

From the environment, or from a file `.env` in the folder where citestream is started; the environment wins, and flags
of the command line win over both. A wrong value ends the start with a message that names the setting.

| setting | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    """The table of all settings."""
    rows = [
        f"| `{env_name(name)}` | {_default(name)} | {field.description}{_bounds(name)} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def env_example() -> str:
    """Every setting with its default, commented out."""
    lines = [
        "# Copy to .env and take the # away where you want something else. docs/settings.md tells what each one does."
    ]
    lines += [f"# {env_name(name)}={_default_text(name)}" for name in Settings.model_fields]
    return "\n".join(lines) + "\n"


def _default(name: str) -> str:
    text = _default_text(name)
    return f"`{text}`" if text else "–"


def _default_text(name: str) -> str:
    """The default as a person writes it: an address is hidden in logs for the password in it, and has none here."""
    default = Settings.model_fields[name].default
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return "" if default is None else str(default)


def _bounds(name: str) -> str:
    schema = Settings.model_json_schema(by_alias=False)["properties"][name]
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    if low is None:
        return ""
    least = f"more than {low:g}" if "exclusiveMinimum" in schema else f"at least {low:g}"
    return f" ({least})" if high is None else f" ({low:g} to {high:g})"


if __name__ == "__main__":
    SETTINGS_PAGE.write_text(settings_page(), encoding="utf-8")
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8")
