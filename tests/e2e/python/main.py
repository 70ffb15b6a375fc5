"""Runs the tests of this folder, and writes one JSON line for the plan and one for each result.

The only argument is a JSON object with the settings, see harness.py. The name of a test is the
first line of its docstring, behind the title of its class.
"""

import json
import logging
import sys
import traceback
import unittest
from pathlib import Path


def name_of(case):
    sentence = case.shortDescription()
    if not sentence:
        raise ValueError(f"{case.id()} has no docstring")
    return f"{type(case).title}: {sentence}"


class Report(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.problems = []

    def stopTest(self, test):
        super().stopTest(test)
        write(name=name_of(test), failure="".join(self.problems) or None)

    def addError(self, test, err):
        super().addError(test, err)
        if not isinstance(test, unittest.TestCase):
            raise err[1]
        self.problem(err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.problem(err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.problem(err, f"{subtest}\n")

    def problem(self, err, *details):
        self.problems += [*details, *traceback.format_exception(*err)]


def cases_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestCase):
            yield item
        else:
            yield from cases_of(item)


def write(**line):
    print(json.dumps(line), flush=True)


def main():
    loader = unittest.TestLoader()
    suite = loader.discover(str(Path(__file__).parent))
    if loader.errors:
        sys.exit("\n".join(loader.errors))
    names = [name_of(case) for case in cases_of(suite)]
    if len(set(names)) < len(names):
        sys.exit(f"two tests have the same name: {sorted(names)}")
    # The loops of the tests are in debug mode, and would report each slow step.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    write(plan=names)
    report = Report()
    suite.run(report)
    sys.exit(0 if report.wasSuccessful() else 1)


main()
