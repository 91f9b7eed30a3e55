"""The S3 protocol as S3 and OSS speak it, over the program's own transport. No redirect is followed, all is bounded.

Read `client` (one request with its retries and errors), `signing`, `listing`, then `machine_role` and `connection`.
"""
