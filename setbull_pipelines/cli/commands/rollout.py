"""``setbull rollout``: which variant is served."""

from __future__ import annotations

import click

from setbull_pipelines.cli import options
from setbull_pipelines.cli.ending import asking
from setbull_pipelines.cli.starting import settings_in_force


@click.group()
def rollout() -> None:
    """Which variant is served.

    Look, or act with your name in the log.

    \b
    setbull rollout status
    """


COMPONENTS = ("aggregation", "indicators", "sequences")
STAGES = ("off", "shadow", "10", "50", "100", "sampled", "retired")
_component = click.option(
    "--component", type=click.Choice(COMPONENTS), help="Only this one; default: all three."
)


@rollout.command()
@options.as_json
def status(as_json: bool) -> None:
    """Stage of every component, and the share from V2.

    The share is that of the last stored session.

    \b
    setbull rollout status
    setbull rollout status --json
    """
    from setbull_pipelines.cli import rollout as work

    settings = settings_in_force()
    if as_json:
        from setbull_pipelines.cli.json_answers import as_text, of_rollout

        with asking():
            click.echo(as_text(of_rollout(settings)))
        return
    if settings.rollout.kill:
        click.echo(work.KILL_SWITCH_ON)
    with asking():
        for line in work.status(settings):
            click.echo(line)


@rollout.command()
@_component
@options.rows("The last ones.")
def history(component: str | None, rows: int) -> None:
    """Evaluations and actions, oldest first.

    \b
    setbull rollout history --component indicators --rows 5
    """
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.stages import Component

    with asking():
        chosen = Component.named(component) if component else None
        for line in work.history(settings_in_force(), chosen, rows):
            click.echo(line)


def _act(
    verb: str, component: str | None, actor: str, reason: str, stage: str | None = None
) -> None:
    from setbull_pipelines.cli import rollout as work
    from setbull_pipelines.rollout.controller import Verdict
    from setbull_pipelines.rollout.stages import Component, Stage

    components = [Component.named(component)] if component else list(Component)
    target = Stage.named(stage) if stage else None
    with asking():
        for line in work.act(settings_in_force(), components, Verdict(verb), actor, reason, target):
            click.echo(line)


@rollout.command()
@click.argument("component", type=click.Choice(COMPONENTS))
@click.argument("stage", type=click.Choice(STAGES))
@options.by
@options.reason
def force(component: str, stage: str, actor: str, reason: str) -> None:
    """Move a component to a stage.

    \b
    setbull rollout force indicators 10 --by "A. Operator" --reason "five healthy sessions"
    """
    _act("forced", component, actor, reason, stage)


@rollout.command()
@_component
@click.option("--release", is_flag=True, help="End the freeze.")
@options.by
@options.reason
def freeze(component: str | None, release: bool, actor: str, reason: str) -> None:
    """Stop advancing; rolling back still works.

    \b
    setbull rollout freeze --by "A. Operator" --reason "before the holidays"
    setbull rollout freeze --release --by "A. Operator" --reason "back again"
    """
    _act("released" if release else "frozen", component, actor, reason)


@rollout.command()
@_component
@options.by
@options.reason
def kill(component: str | None, actor: str, reason: str) -> None:
    """Take V2 back to off, latched, from the next serving on.

    \b
    setbull rollout kill --component indicators --by "A. Operator" --reason "looks wrong"
    """
    _act("killed", component, actor, reason)


@rollout.command()
@options.by
@options.reason
def restore(actor: str, reason: str) -> None:
    """Get a lost or damaged log back from its files.

    \b
    setbull rollout restore --by "A. Operator" --reason "the pointer was deleted"
    """
    from setbull_pipelines.cli import rollout as work

    with asking():
        for line in work.restore(settings_in_force(), actor, reason):
            click.echo(line)


@rollout.command()
@_component
@options.by
@options.reason
def rearm(component: str | None, actor: str, reason: str) -> None:
    """Release the latch; the component starts at shadow.

    \b
    setbull rollout rearm --component indicators --by "A. Operator" --reason "the divisor is mended"
    """
    _act("re-armed", component, actor, reason)
