"""report.html, figures, tables and exports, from results.h5 and fit.json. The entry is `write.write_report`."""
