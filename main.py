"""Train and evaluate one configuration:  python main.py dataset=cub200 loss=triplet seed=1.

The groups of conf/ are composed into a run. The run trains a network, evaluates it, records
everything in runs/<dataset>/<group>/seed<k>/ and ends with the table of its metrics and the path of
summary.json. The same command again resumes an interrupted run and skips a finished one.
"""

import os
import sys

from core.exit_message import end_in_one_line
from core.interruption import catch_signals

if __name__ == "__main__":  # before the imports, which Ctrl-C may interrupt
    end_in_one_line()
    catch_signals()

# before torch is imported: waiting threads leave their core to the workers that load images
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from core.process_rank import is_first_process
from engine.config.command_line import check_command_line
from engine.config.error_line import explain, require_utf8, user_errors_as_one_line
from engine.config.help import help_text
from engine.config.protocol import check_claimed_protocol, warn
from engine.hints import with_hints
from engine.third_party_warnings import capture_warnings, log_warnings
from sweeps.job import Job, Outcome
from sweeps.pool import run_all
from sweeps.run_config import arguments, run_folder
from tracking.console import report
from tracking.data_files import same_files


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> Outcome | None:
    command = HydraConfig.get()
    with user_errors_as_one_line():
        folder = run_folder(config, command.runtime.choices)
    # the death of a loader's worker arrives as a signal, at any moment
    with user_errors_as_one_line(folder.traceback), with_hints():
        if command.mode is RunMode.MULTIRUN:  # a launcher brought one job of a sweep here
            return run_all([Job(arguments(command), folder, config.force)])[0]
        if folder.finished and not config.force and same_files(folder):
            if is_first_process():
                report(folder)
            return None
        # torch is imported from here on, for a run that Hydra accepts and that is not finished
        from engine.config.start import check_start

        check_start(config, command.overrides.task, folder)
        from engine.build import load_table
        from engine.data.identity import check_same_data
        from engine.train import train_and_evaluate

        if not is_first_process():  # the first of several devices keeps the folder
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
                # hints are added here, too, so that status.json has them
                with folder.running(explain), log_warnings(folder.warnings), with_hints():
                    train_and_evaluate(config, folder, claim)
        report(folder)
    return None


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors; here they become one line
    with user_errors_as_one_line(), with_hints():
        require_utf8(sys.argv)
        options = check_command_line(sys.argv[1:])
        if options.help:
            print(help_text(options.overrides, options.config_dir), end="")  # noqa: T201
        else:
            capture_warnings()
            main()
