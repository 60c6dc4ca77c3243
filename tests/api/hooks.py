"""Media types of OpenAPI documents are YAML, which JSON is, too."""

import schemathesis

schemathesis.serializer.alias("application/vnd.oai.openapi", "application/yaml")
schemathesis.serializer.alias("application/vnd.oai.openapi+json", "application/json")
