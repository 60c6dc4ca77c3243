"""Reads OpenAPI documents, one a line, and says of each what openapi-spec-validator has against it."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

bad = read = 0
for number, line in enumerate(sys.stdin, 1):
    read += 1
    for error in OpenAPIV31SpecValidator(json.loads(line)).iter_errors():
        bad += 1
        where = "/".join(str(part) for part in error.absolute_path) if hasattr(error, "absolute_path") else ""
        print(f"document {number}: {where}: {error}"[:600])
print(f"{read} documents, {bad} errors")
sys.exit(1 if bad else 0)
