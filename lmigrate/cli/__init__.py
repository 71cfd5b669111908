"""The command line.  It knows lmigrate only by HTTP; what starts daemons or touches the database says so."""
