"""One camera, captured in a process of its own, which can be killed when it hangs.

The way of a picture: eye (network.py, device.py) → process.py, in the child → wire.py, over a pipe → child.py, in the
parent → camera.py, which supervises, reconnects and offers frames.
"""
