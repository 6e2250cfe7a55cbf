"""What the output of a code says beside what ASE reads: convergence, moments, settings; keys of an extxyz."""
