"""The worker process: claims operations one by one, and ends when there are none for a while."""

from __future__ import annotations

import signal
import time

import structlog

from sgmn.background import exit_with_parent
from sgmn.errors import SgmnError, error_reason
from sgmn.service import logs
from sgmn.service.context import ServiceContext
from sgmn.service.database.engine import Database
from sgmn.service.operations import queue
from sgmn.service.operations.heart import Heart, StopJobError
from sgmn.service.operations.outcome import Outcome
from sgmn.service.operations.queue import Job
from sgmn.service.sealing import load_sealer
from sgmn.service.settings import ServiceSettings

IDLE_EXIT_S = 30.0  # then the memory of the model is free again
_POLL_S = 0.1
_LOG = structlog.get_logger("sgmn.service.operations")


def run_worker(settings_json: str, worker: str) -> None:
    """The main function of the process.

    Args:
        settings_json: The settings of the service.
        worker: A name for this process, unique in the database.
    """
    from sgmn.service.imports.importer import prune_uploads

    exit_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    settings = ServiceSettings.from_json(settings_json)
    logs.configure(settings)
    context = ServiceContext(settings, Database(settings), load_sealer(settings))
    prune_uploads(context)
    last_job_s = time.monotonic()
    while time.monotonic() - last_job_s < IDLE_EXIT_S:
        job = queue.claim(context.database, worker)
        if job is None:
            time.sleep(_POLL_S)
            continue
        run_job(context, job)
        last_job_s = time.monotonic()


def run_job(context: ServiceContext, job: Job) -> None:
    """Run one job and store its outcome."""
    from sgmn.service.operations.handlers import HANDLERS  # these import the index and the model

    log = _LOG.bind(operation=job.id, kind=job.kind, attempt=job.attempt)
    log.info("operation starts")
    started = time.monotonic()
    try:
        with Heart(context.database, job, context.settings.import_timeout_s) as heart:
            outcome = HANDLERS[job.kind](context, job, heart)
    except StopJobError as error:
        log.info("operation stops", reason=str(error))
        return
    except SgmnError as error:
        outcome = Outcome(problem=str(error))
    except OSError as error:
        log.error("operation failed", exc_info=error)
        outcome = Outcome(problem=f"The service cannot do this now ({error_reason(error)}).")
    except Exception as error:  # a bug; the service and its other operations go on
        log.exception("operation failed", exc_info=error)
        outcome = Outcome(problem="The service failed; its log has the details.")
    is_stored = store_outcome(context, job, outcome)
    duration_s = round(time.monotonic() - started, 3)
    log.info("operation ends", problem=outcome.problem, stored=is_stored, duration_s=duration_s)


def store_outcome(context: ServiceContext, job: Job, outcome: Outcome) -> bool:
    """End a job with its outcome in one transaction; False if it was cancelled meanwhile."""
    from sgmn.service.catalogues import change_catalogue

    state, problem = "succeeded", None
    if outcome.problem is not None:
        state, problem = "failed", {"title": "Operation failed", "detail": outcome.problem}
    with context.database.write() as connection:
        if outcome.catalogue and job.catalogue_id is not None:
            change_catalogue(connection, job.catalogue_id, **outcome.catalogue)
        result = dict(outcome.result)
        is_stored = queue.finish(connection, job, state, result=result, problem=problem)
        if is_stored:
            queue.add_rows(connection, job, outcome.errors, outcome.warnings)
    return is_stored
