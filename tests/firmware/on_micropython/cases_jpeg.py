"""What the firmware makes of JPEGs that are laid in a folder: one line of JSON each."""

import json
import os
from array import array

from aa import jpeg


def judge(folder):
    for name in sorted(item[0] for item in os.ilistdir(folder)):
        with open(folder + "/" + name, "rb") as file:
            frame = memoryview(array("b", file.read()))
        head = jpeg.Head(frame)
        told = {"name": name, "size": [head.width, head.height], "whole": jpeg.is_whole(frame)}
        told.update({"black": head.is_black(frame), "scan": head.scan, "mark": head.fingerprint(frame)})
        print(json.dumps(told))
