"""The only way a model is opened: in a worker without keys or network, under the scan's policy."""
