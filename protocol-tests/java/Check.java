// Runs checks one after the other, each with a limit of time, and prints lines for ../run: `ok   NAME
// (MS ms)`, or `FAIL NAME` with the trace below.

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** One check: what it proves, and how. */
record Check(String name, Body body) {
    /** May fail in any way. */
    interface Body {
        void run() throws Exception;
    }

    private static final long LIMIT_S = 60;
    private static final AtomicInteger CHANNELS = new AtomicInteger();

    /** Runs it; whether it passed. */
    boolean run(String subject) throws InterruptedException {
        long start = System.nanoTime();
        FutureTask<Void> task = new FutureTask<>((Callable<Void>) () -> {
            body.run();
            return null;
        });
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        String title = name + " (" + subject + ")";
        try {
            task.get(LIMIT_S, TimeUnit.SECONDS);
        } catch (InterruptedException end) {
            throw end;
        } catch (Exception failure) {
            StringWriter trace = new StringWriter();
            Objects.requireNonNullElse(failure.getCause(), failure).printStackTrace(new PrintWriter(trace));
            System.out.print("FAIL " + title + "\n" + trace.toString().replaceAll("(?m)^(?=.)", "     | "));
            return false;
        }
        System.out.println("ok   " + title + " (" + (System.nanoTime() - start) / 1_000_000 + " ms)");
        return true;
    }

    /** Fails with what was found, unless it is so. */
    static void that(boolean isSo, Object found) {
        if (!isSo) throw new AssertionError(String.valueOf(found));
    }

    /** Fails with both, unless they are equal. */
    static void equal(Object found, Object expected) {
        if (!Objects.equals(found, expected)) throw new AssertionError(found + "\n  is not " + expected);
    }

    /** A channel name that no other check uses. */
    static String channel() {
        return "/java/" + CHANNELS.incrementAndGet();
    }
}
