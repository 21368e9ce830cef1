"""DICOMweb (PS3.18), as a server and as a client: its bodies, its responses, its requests."""
