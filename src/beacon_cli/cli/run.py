"""`beacon run`, `ask`, `resume`, `retry` and `reap`: carrying a job out, to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beacon_cli.cli import options


def register(app: typer.Typer) -> None:
    """Give the application this file's commands."""
    for command in (run, ask, resume, retry, reap):
        app.command()(command)


def run(
    job: options.JobFile,
    *,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Rehearse without an account, on an emulator on this machine.")
    ] = False,
    speed: options.Speed = 10.0,
    executor: options.Executor = None,
    region: options.Regions = None,
    model: options.Models = None,
    question: options.Questions = None,
    limit: options.FirstQuestions = None,
    schedule: options.ScheduleName = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="Name the run yourself.", show_default=False)
    ] = None,
    output: options.Output = None,
    priority: options.PriorityName = "normal",
    no_wait: options.NoWait = False,
    prewarm: options.Prewarm = None,
    keep_warm: options.KeepWarm = False,
    max_cost: options.MaxCost = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the interrupted run that this command began, if there is one."),
    ] = False,
    json: options.EventsAsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask a job's questions of its models in its regions, and keep every answer."""
    from beacon_cli import guards
    from beacon_cli.operations import carry_out, orders

    guards.install_in_loggers()
    order = orders.Order(
        job=job,
        selection=orders.select(region, model, question, limit, schedule),
        executor=executor,
        rehearse=rehearse,
        speed=speed,
        run_id=run_id,
        output=output,
        resume=resume,
        terms=orders.terms(priority, no_wait=no_wait, prewarm=prewarm, keep_warm=keep_warm, max_cost=max_cost),
        show=orders.show(json=json, quiet=quiet),
    )
    raise typer.Exit(carry_out.run(order))


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, word for word.")],
    *,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="Who is asked.")],
    region: Annotated[str, typer.Option("--region", metavar="REGION", help="Where.")],
    job: Annotated[
        Path | None,
        typer.Option(
            "--job",
            metavar="FILE",
            help="Ask as this job file does: its executor, prompt, sampling.",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", metavar="X", min=0.0, max=2.0, help="How freely it answers.", show_default=False
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", min=1, help="How much it may say.", show_default=False),
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Rehearse without an account, on an emulator on this machine.")
    ] = False,
    speed: options.Speed = 10.0,
    priority: options.PriorityName = "normal",
    no_wait: options.NoWait = False,
    json: Annotated[bool, typer.Option("--json", help="Print the row of results, as JSON.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask one model one question in one region; the answer is printed, and kept as a run."""
    from beacon_cli import guards
    from beacon_cli.operations import asking, orders

    guards.install_in_loggers()
    asked = asking.Asked(
        question=question,
        model=model,
        region=region,
        job=job,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    order = orders.Order(
        rehearse=rehearse,
        speed=speed,
        terms=orders.terms(priority, no_wait=no_wait),
        show=orders.show(json=False, quiet=quiet),
    )
    raise typer.Exit(asking.ask(asked, order, as_json=json))


def resume(
    run: options.UnfinishedRun = "",
    *,
    amend: Annotated[
        bool, typer.Option("--amend", help="Take up what the job file has gained since: questions, models, …")
    ] = False,
    speed: options.Speed = 10.0,
    output: options.Output = None,
    priority: options.PriorityName = "normal",
    no_wait: options.NoWait = False,
    prewarm: options.Prewarm = None,
    keep_warm: options.KeepWarm = False,
    max_cost: options.MaxCost = None,
    json: options.EventsAsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on with a run that was interrupted: collect what was paid for, ask what is pending."""
    from beacon_cli import guards
    from beacon_cli.operations import carry_out, orders

    guards.install_in_loggers()
    raise typer.Exit(
        carry_out.go_on(
            orders.Continuation(
                run=run,
                amend=amend,
                speed=speed,
                output=output,
                terms=orders.terms(
                    priority, no_wait=no_wait, prewarm=prewarm, keep_warm=keep_warm, max_cost=max_cost
                ),
                show=orders.show(json=json, quiet=quiet),
            )
        )
    )


def retry(
    run: options.Run = "",
    *,
    speed: options.Speed = 10.0,
    output: options.Output = None,
    priority: options.PriorityName = "normal",
    no_wait: options.NoWait = False,
    prewarm: options.Prewarm = None,
    keep_warm: options.KeepWarm = False,
    max_cost: options.MaxCost = None,
    json: options.EventsAsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask again what failed or was skipped in a run; what was answered stays."""
    from beacon_cli import guards
    from beacon_cli.operations import carry_out, orders

    guards.install_in_loggers()
    raise typer.Exit(
        carry_out.go_on(
            orders.Continuation(
                run=run,
                again=True,
                speed=speed,
                output=output,
                terms=orders.terms(
                    priority, no_wait=no_wait, prewarm=prewarm, keep_warm=keep_warm, max_cost=max_cost
                ),
                show=orders.show(json=json, quiet=quiet),
            )
        )
    )


def reap(
    run: options.AnyRun = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the calls; cancel nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Find the calls that runs may have left running, and end them."""
    from beacon_cli import guards
    from beacon_cli.operations import looking, reaping

    guards.install_in_loggers()
    looking.orphans(reaping.orphans(run) if dry_run else reaping.reap(run), as_json=json)
