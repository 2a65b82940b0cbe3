"""The virtual camera: the real firmware on MicroPython's unix port, with simulated hardware around it.

`camera` has `VirtualCamera`; `available` says whether this machine can run one; `hardware/` holds the MicroPython
modules that stand in for the chip's; `bench` is their other end. `discord/` is the Discord stand-in.
"""
