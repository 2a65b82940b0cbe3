"""What a camera's display can show: `art` makes its letters and icons, `shots` draws each screen, `sheet` shows them.

`python -m simulator.oled` makes anew what is committed of them.
"""
