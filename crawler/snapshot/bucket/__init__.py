"""A snapshot in a bucket. Read `destination`, then `latest`: how crawls agree on the newest snapshot without a lock."""
