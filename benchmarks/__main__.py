"""`make bench`."""

from benchmarks.overhead import main

main()
