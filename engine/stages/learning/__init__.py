"""Active learning: label, fit, sample, choose what to label next, until more labels no longer move the phase diagram."""
