"""TLS at the server's end: a small CA of the owner's own, and the certificate that it signs for this server.

`authority` makes them (`aperture tls init`), `names` says for which names, `files` is how listeners take them up. A
camera trusts the CA and nobody else, so it outlives every certificate: docs/tls.md.
"""
