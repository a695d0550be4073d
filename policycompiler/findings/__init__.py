"""What is made of findings: the catalogue of all there are; judged, waived, hidden, fixed."""
