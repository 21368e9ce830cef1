"""`mammoseg serve`."""

from typing import Annotated

import typer

from service.errors import StartupError
from service.exit_status import INTERRUPTED
from service.logs import configure_logs
from service.startup.limits import check_limits, warn_of_memory
from service.startup.models import models_opening
from service.startup.parts import (
    check_destinations,
    check_listening,
    open_access,
    open_inbox,
    open_tls,
)
from service.system.hangups import hear_hangups
from service.system.heap import spare_what_is_loaded
from service.terminal import fail, settings_or_exit, warn_of_retired_variables

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.")] = None,
) -> None:
    """Serve over HTTP until SIGTERM. Every setting is also an environment variable MAMMOSEG_*."""
    hear_hangups()
    settings = settings_or_exit(host=host, port=port)
    configure_logs(settings.log_level, settings.log_format, waits=False)
    warn_of_retired_variables()
    warn_of_memory(settings)
    try:
        check_limits(settings)
        check_listening(settings)
        access = open_access(settings)
        # Both again later; but before the model takes its time.
        open_tls(settings)
        check_destinations(settings)
        inbox = open_inbox(settings)
        with models_opening(settings) as models:
            from service.app import create_app
            from service.connections.server import serve as run_server
        served = create_app(settings, models(), inbox, access)
    except StartupError as error:
        fail(error)
    spare_what_is_loaded()
    try:
        status = run_server(served, settings)
    except StartupError as error:
        # Of what was had a moment ago.
        fail(error)
    except KeyboardInterrupt:
        # The log has said so.
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(status)
