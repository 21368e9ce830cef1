"""What the DIMSE doors of both sides share: titles, PDUs, and what a status means."""
