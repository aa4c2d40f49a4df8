"""Train and evaluate one configuration:  python main.py dataset=cub200 loss=triplet seed=1.

Composes the groups of conf/ into a run, trains the embedder, evaluates it, records everything in
runs/<dataset>/<group>/seed<k>/ and ends with the table of metrics and the path of summary.json.
The same command again resumes an interrupted run and skips a finished one.
"""

import os
import sys

from core.exit_message import end_in_one_line
from core.interruption import catch_signals

if __name__ == "__main__":  # before the imports, which take seconds
    end_in_one_line()
    catch_signals()

# before torch: threads that wait must leave their core to the workers that load the images
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from core.process_rank import is_first_process
from engine.config.command_line import check_command_line
from engine.config.error_line import explain, require_utf8, user_errors_as_one_line
from engine.config.protocol import check_claimed_protocol, warn
from engine.hints import with_hints
from engine.library_warnings import capture_library_warnings, log_library_warnings
from sweeps.job import Job, Outcome
from sweeps.pool import run_all
from sweeps.run_config import arguments, run_folder
from tracking.console import report
from tracking.data_files import same_files
from tracking.run_folder import RunFolder


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> Outcome | None:
    command = HydraConfig.get()
    with user_errors_as_one_line():
        folder = run_folder(config, command.runtime.choices)
    # the death of a worker is a signal, which comes at any moment
    with user_errors_as_one_line(folder.traceback), with_hints():
        if command.mode is RunMode.MULTIRUN:  # of a launcher that brought the job to this process
            return run_all([Job(arguments(command), folder, config.force)])[0]
        if folder.finished and not config.force and same_files(folder):
            show(folder)
            return None
        from engine.build import load_table  # from here on torch is needed, which takes seconds
        from engine.config.start import check_start
        from engine.data.identity import check_same_data
        from engine.train import train_and_evaluate

        check_start(config, command.overrides.task)
        if not is_first_process():  # of several devices; the first one keeps the folder
            if config.force or not folder.finished:
                train_and_evaluate(config, folder, claim=None)
            return None
        with folder.locked():
            if config.force:
                folder.clear()
            if folder.finished:
                check_same_data(folder, load_table(config))
            else:
                claim = check_claimed_protocol(config, command.overrides.task)
                warn(claim)
                # advised here, too, so that the status says it
                with folder.running(explain), log_library_warnings(folder.warnings), with_hints():
                    train_and_evaluate(config, folder, claim)
        show(folder)
    return None


def show(folder: RunFolder) -> None:
    if is_first_process():
        report(folder)


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand the error over; it is explained here, in one line
    with user_errors_as_one_line(), with_hints():
        require_utf8(sys.argv)
        check_command_line(sys.argv[1:])
        capture_library_warnings()
        main()
