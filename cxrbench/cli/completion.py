"""``cxrbench completion``."""

from __future__ import annotations

from typing import Literal

import rich_click as click

from cxrbench.cli.common import Output, common

Shell = Literal["bash", "zsh", "fish"]

_PLACES: dict[Shell, str] = {
    "bash": "cxrbench completion bash > ~/.local/share/bash-completion/completions/cxrbench",
    "zsh": "cxrbench completion zsh > ~/.zfunc/_cxrbench   (~/.zfunc must be in fpath before compinit)",
    "fish": "cxrbench completion fish > ~/.config/fish/completions/cxrbench.fish",
}
_FIRST: dict[Shell, str] = {"zsh": "#compdef cxrbench"}
"""What a shell wants to see in the first line."""


@click.command(
    epilog="Example: cxrbench completion bash > ~/.local/share/bash-completion/completions/cxrbench"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(shell: Shell, output: Output) -> None:
    """Print the script that makes a SHELL complete names: commands, components, recipes, runs.

    The script's own comment says where to put it; new shells have it then.
    """
    from click.shell_completion import get_completion_class

    from cxrbench.cli.main import main

    made = get_completion_class(shell)
    assert made is not None
    script = made(main, {}, "cxrbench", "_CXRBENCH_COMPLETE")
    text = script.source_template % script.source_vars()
    head = "\n".join(filter(None, [_FIRST.get(shell), f"# {_PLACES[shell]}"]))
    body = text.strip().removeprefix(_FIRST.get(shell, "")).strip()
    output.document({"shell": shell, "place": _PLACES[shell], "script": f"{head}\n{body}\n"})
    if not output.as_json:
        print(f"{head}\n{body}")
