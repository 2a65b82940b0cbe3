"""What `make bench` measures; `__main__` has the list. Ratios within a run count; absolute times are the machine's."""
