"""Runs queries over rows in ClickHouse, in this process.

Standard input is one JSON object: `rows`, each an object of columns, and `queries`, a list of texts.
Standard output is a JSON list with the result of each query: a list of rows.
"""

import json
import re
import sys
import types

# The package imports it for results in its format, which are not used here.
pyarrow = types.ModuleType("pyarrow")
pyarrow.__getattr__ = lambda _: object
sys.modules["pyarrow"] = pyarrow

from chdb.session import Session

# The small build of ClickHouse lacks this function. Here is its definition: every value stands in
# the sorted list as often as its weight says, and the result is the first value at which the part
# `q` of the list is reached. The form of the call is that of the reference of Analytics Engine.
WEIGHTED = re.compile(r"\bquantileExactWeighted\(([\d.]+)\)\((\w+), (\w+)\)")
DEFINITION = (
    r"arrayElement(arraySort(arrayFlatten(groupArray(arrayWithConstant(\3, \2)))),"
    r" toUInt64(greatest(ceil(\1 * sum(\3)), 1)))"
)


def main():
    task = json.load(sys.stdin)
    session = Session()
    blobs = ", ".join(f"blob{n} String" for n in range(1, 21))
    doubles = ", ".join(f"double{n} Float64" for n in range(1, 21))
    session.query(
        "CREATE TABLE switchyard (dataset String, timestamp DateTime('UTC'), _sample_interval UInt32,"
        f" index1 String, {blobs}, {doubles}) ENGINE = Memory"
    )
    rows = "\n".join(json.dumps(row) for row in task["rows"])
    session.query(f"INSERT INTO switchyard FORMAT JSONEachRow\n{rows}")
    settings = "output_format_json_quote_64bit_integers = 0"
    results = []
    for query in task["queries"]:
        query = WEIGHTED.sub(DEFINITION, query)
        text = str(session.query(f"{query}\nSETTINGS {settings}", "JSON"))
        results.append(json.loads(text)["data"])
    json.dump(results, sys.stdout)


main()
