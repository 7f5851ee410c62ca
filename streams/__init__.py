"""Where frames come from and where messages go: Kafka, RTSP, files and the simulated line.

This floor knows pictures as bytes or pixels, never as scores. It imports nothing from `models` or `monitor`;
what happens here is reported through the ports in `streams.source` and measured by the monitor.
"""
