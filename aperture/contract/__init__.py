"""What cameras and servers say to each other: names, topics and message bodies, and nothing that does I/O.

`ids` has the names, `topics` where things are said, `messages` what is said. The firmware has encoders of its own;
the golden JSON files in `tests/contract/` hold the two sides together.
"""
