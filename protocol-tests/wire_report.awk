# Turns the output of `cargo test` into the lines of protocol-tests/run. Compiler and harness chatter
# goes; what a failed test printed stays, indented.

/^test .* \.\.\. ok$/ { line("ok  "); next }
/^test .* \.\.\. FAILED$/ { line("FAIL"); next }
/^test .* \.\.\. ignored/ { line("skip"); next }
/^test result: / {
    passed += $4; failed += $6; skipped += $8
    finished += 1
    next
}
/^---- / { detail = 1 }
/^failures:$/ { detail = 0 }
/^error/ { print "     | " $0; errors += 1 }
detail { print "     | " $0 }
END {
    # A test binary that aborted prints no result of its own.
    if (finished == 0 || (errors > 0 && failed == 0)) { print "FAIL the tests did not run to their end"; failed += 1 }
    printf "total %d passed, %d failed, %d skipped\n", passed, failed, skipped
}

function line(verdict,    name) {
    name = $0
    sub(/^test /, "", name)
    sub(/ \.\.\. .*$/, "", name)
    sub(/^.*::/, "", name)
    gsub(/_/, " ", name)
    print verdict " " name
    fflush()
}
