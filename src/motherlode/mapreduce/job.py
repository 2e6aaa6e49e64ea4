"""The job class: mappers, combiners and reducers as methods, options, protocols, counters."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, ClassVar, Self

from motherlode.core.errors import DataError, MotherlodeError, UsageError, UserFunctionError
from motherlode.mapreduce.options import Parser, runner_arguments
from motherlode.mapreduce.protocol import JSONProtocol, LineProtocol, RawValueProtocol
from motherlode.mapreduce.runner import Runner
from motherlode.mapreduce.step import NAMES, MRStep


class MRJob:
    """A MapReduce job.

    Subclass it, define some of ``mapper``, ``combiner`` and ``reducer`` (each with ``_init`` and
    ``_final``, or as ``_cmd``; ``mapper_raw`` for whole files), or ``steps()`` for several steps,
    and call ``run()`` at the end of the file. Jobs written for mrjob run unchanged but for the
    import.

    Parameters
    ----------
    args : sequence of str, optional
        Command-line arguments; none by default, ``sys.argv`` is only read by :meth:`run`.

    Examples
    --------
    >>> from motherlode.mapreduce import MRJob
    >>> class WordFrequency(MRJob):
    ...     def mapper(self, _, line):
    ...         for word in line.split():
    ...             yield word.lower(), 1
    ...
    ...     def reducer(self, word, counts):
    ...         yield word, sum(counts)
    >>> import io
    >>> job = WordFrequency(["-r", "inline"]).sandbox(io.BytesIO(b"to be or not to be"))
    >>> with job.make_runner() as runner:
    ...     runner.run()
    ...     dict(job.parse_output(runner.cat_output()))
    {'be': 2, 'not': 1, 'or': 1, 'to': 2}
    """

    INPUT_PROTOCOL: ClassVar[Any] = RawValueProtocol
    INTERNAL_PROTOCOL: ClassVar[Any] = JSONProtocol
    OUTPUT_PROTOCOL: ClassVar[Any] = JSONProtocol
    SORT_VALUES: ClassVar[bool] = False
    JOBCONF: ClassVar[dict[str, Any]] = {}

    def __init__(self, args: Sequence[str] | None = None) -> None:
        self._arguments = list(args or ())
        self._stdin: BinaryIO | None = None
        self._stdout: BinaryIO | None = None
        self._task = False
        self._folder = os.getcwd()
        self._file_args: list[str] = []
        self.counters: dict[str, dict[str, int]] = {}
        self.arg_parser = Parser(prog=sys.argv[0], description=inspect.getdoc(type(self)))
        self.configure_args()
        self.load_args(self._arguments)

    # -- what a job may define ------------------------------------------------------------

    def steps(self) -> list[MRStep]:
        """Return the job's steps; by default one, of the methods that the class defines."""
        own = {
            name: getattr(self, name)
            for name in NAMES
            if getattr(type(self), name, None) is not getattr(MRJob, name, None)
        }
        for name, value in own.items():
            if name.endswith(("_cmd", "_pre_filter")):
                own[name] = value()
        if not own:
            raise UsageError(
                f"{type(self).__name__} defines no mapper, combiner or reducer",
                "define some, or steps()",
            )
        return [MRStep(**own)]

    def configure_args(self) -> None:
        """Declare options; an overriding method calls this one first."""
        runner_arguments(self.arg_parser)

    def add_passthru_arg(self, *names: str, **kwargs: Any) -> None:
        """Declare an option of the job's own, as ``argparse`` takes it; tasks see it too."""
        self.arg_parser.add_argument(*names, **kwargs)

    def add_file_arg(self, *names: str, **kwargs: Any) -> None:
        """Declare an option that names a file; tasks open it under its absolute path."""
        action = self.arg_parser.add_argument(*names, **kwargs)
        self._file_args.append(action.dest)

    def pass_arg_through(self, name: str) -> None:
        """Accepted so that existing jobs run: tasks see every option."""
        known = {option for a in self.arg_parser._actions for option in a.option_strings}
        known |= {a.dest for a in self.arg_parser._actions}
        if name not in known:
            raise UsageError(f"there is no option {name!r} to pass through", "declare it first")

    def load_args(self, args: Sequence[str]) -> None:
        """Parse options into ``self.options``; an overriding method calls this one first."""
        self.options = self.arg_parser.parse_args(list(args))
        for name in self._file_args:
            given = getattr(self.options, name)
            if isinstance(given, list):
                setattr(self.options, name, [self._file(each) for each in given])
            elif given is not None:
                setattr(self.options, name, self._file(given))

    def _file(self, path: str) -> str:
        """Return the absolute path of a file of the job's, as it was where the job was made."""
        return os.path.normpath(os.path.join(self._folder, path))

    def is_task(self) -> bool:
        """Tell whether this object is folding a piece of the data, rather than running the job."""
        return self._task

    def input_protocol(self) -> LineProtocol:
        return self.INPUT_PROTOCOL()  # type: ignore[no-any-return]

    def internal_protocol(self) -> LineProtocol:
        return self.INTERNAL_PROTOCOL()  # type: ignore[no-any-return]

    def output_protocol(self) -> LineProtocol:
        return self.OUTPUT_PROTOCOL()  # type: ignore[no-any-return]

    def sort_values(self) -> bool:
        """Tell whether the values of a key come sorted by their bytes."""
        return self.SORT_VALUES

    # -- what a job may call ----------------------------------------------------------------

    def increment_counter(self, group: str, counter: str, amount: int = 1) -> None:
        """Add to a counter; counters of all tasks are added up, each task counted once."""
        if not isinstance(amount, int):
            raise UsageError(f"a counter counts whole numbers, got {amount!r}")
        names = self.counters.setdefault(str(group), {})
        names[str(counter)] = names.get(str(counter), 0) + amount

    def set_status(self, message: str) -> None:
        """Print a message to standard error."""
        print(f"status: {message}", file=sys.stderr, flush=True)

    # -- running ------------------------------------------------------------------------------

    def sandbox(
        self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None, stderr: Any = None
    ) -> Self:
        """Take input and output from here instead of the process's own; return the job."""
        self._stdin, self._stdout = stdin, stdout
        return self

    @property
    def stdin(self) -> BinaryIO:
        return self._stdin if self._stdin is not None else sys.stdin.buffer

    @property
    def stdout(self) -> BinaryIO:
        return self._stdout if self._stdout is not None else sys.stdout.buffer

    def make_runner(self) -> Runner:
        """Return a runner of this job; use it in a ``with`` block.

        Raises
        ------
        DataError
            If a file that an option names is not there.
        """
        for name in self._file_args:
            given = getattr(self.options, name)
            for path in given if isinstance(given, list) else [given]:
                if path is not None and not os.path.exists(path):
                    raise DataError(f"there is no file {path!r}", f"see the option {name}")
        return Runner(self)

    @classmethod
    def run(cls) -> None:
        """Run the job with the options of the command line; the last line of a job's file."""
        try:
            job = cls(sys.argv[1:])
            job.execute()
        except MotherlodeError as error:
            if isinstance(error, UserFunctionError) and error.__cause__ is not None:
                traceback.print_exception(error.__cause__)
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            sys.stderr.close()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)

    def execute(self) -> None:
        """Run the job and print its output."""
        with self.make_runner() as runner:
            runner.run()
            wanted = self.options.cat_output
            if self.options.output_dir is None if wanted is None else wanted:
                for chunk in runner.cat_output():
                    self.stdout.write(chunk)
                self.stdout.flush()
            runner.print_counters(sys.stderr)

    def parse_output(self, chunks: Iterable[bytes]) -> Iterator[tuple[Any, Any]]:
        """Yield the pairs that a job's output holds."""
        read = self.output_protocol().read
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(read, lines)
        if rest:
            yield read(rest)

    # -- what the runner needs ----------------------------------------------------------------

    def for_task(self) -> Self:
        """Return a fresh job for one role of one task."""
        job = type(self)(self._arguments)
        job._task = True
        if job._folder != self._folder:
            job._folder = self._folder
            job.load_args(self._arguments)
        return job

    def protocol(self, kind: str) -> LineProtocol:
        """Return the protocol for ``input``, ``internal`` or ``output``."""
        return getattr(self, f"{kind}_protocol")()  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {"_arguments": self._arguments, "_folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_arguments"])  # type: ignore[misc]
        self._folder = state["_folder"]


def _undefined(name: str) -> Any:
    def method(self: MRJob, *_: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no {name}")

    method.__name__ = name
    return method


for _name in NAMES:
    if not hasattr(MRJob, _name):
        setattr(MRJob, _name, _undefined(_name))
