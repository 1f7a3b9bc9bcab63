# Turns the output of `cargo test` into the lines of protocol-tests/run. Compiler and harness chatter
# goes; what a failed test printed stays, indented.

/^test .* \.\.\. ok$/ { line("ok  "); next }
/^test .* \.\.\. FAILED$/ { line("FAIL"); next }
/^test .* \.\.\. ignored/ { line("skip"); next }
/^---- / { detail = 1 }
/^failures:$/ { detail = 0 }
/^error/ { detail = 1 }
detail { print "     | " $0 }

function line(verdict,    name) {
    name = $0
    sub(/^test /, "", name)
    sub(/ \.\.\. .*$/, "", name)
    sub(/^.*::/, "", name)
    gsub(/_/, " ", name)
    print verdict " " name
    fflush()
}
