package dev.podidentity.agent;

import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** The running program of a {@link Workload}, with the environment of a pod. Only one thread at a time may use it. */
final class LivingWorkload implements AutoCloseable {

    private static final String ENDED = "";
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final Process process;
    private final Path errors;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

    private LivingWorkload(Process process, Path errors) {
        this.process = process;
        this.errors = errors;
        AgentProcess.daemon("workload-output", this::read);
    }

    /**
     * Starts the program.
     *
     * @param environment its complete environment, except PATH
     * @param errors receives its error output
     */
    static LivingWorkload start(List<String> command, Map<String, String> environment, Path errors) {
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
        builder.environment().keySet().retainAll(Set.of("PATH"));
        builder.environment().putAll(environment);
        try {
            return new LivingWorkload(builder.start(), errors);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns what EKS gives a pod, and a home directory. */
    static Map<String, String> environment(String authority, Path token, Path home) {
        return Map.of(
                "HOME", home.toString(),
                "AWS_REGION", "us-west-2",
                "AWS_DEFAULT_REGION", "us-west-2",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://" + authority + "/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.toString());
    }

    private void read() {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            lines.lines().forEach(answers::add);
        } catch (IOException | UncheckedIOException e) {
            // It is being closed.
        }
        answers.add(ENDED);
    }

    /** Sends a command and waits for the reply. */
    Reply ask(String command) {
        return ask(command, PATIENCE).orElseThrow(() -> noAnswer(command));
    }

    /** Sends a command; returns empty if there is no reply in time. The program cannot be used after that. */
    Optional<Reply> ask(String command, Duration patience) {
        send(command);
        return next(patience);
    }

    /** Returns the replies of this many new providers at once. */
    List<Reply> burst(int count) {
        String command = "burst " + count;
        send(command);
        return IntStream.range(0, count).mapToObj(i -> next(PATIENCE).orElseThrow(() -> noAnswer(command))).toList();
    }

    private void send(String command) {
        try {
            OutputStream input = process.getOutputStream();
            input.write((command + "\n").getBytes(StandardCharsets.UTF_8));
            input.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Optional<Reply> next(Duration patience) {
        try {
            return Optional.ofNullable(answers.poll(patience.toMillis(), TimeUnit.MILLISECONDS))
                    .filter(answer -> !answer.equals(ENDED))
                    .map(Reply::parse);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private IllegalStateException noAnswer(String command) {
        try {
            return new IllegalStateException("No answer to " + command + "; it wrote: " + Files.readString(errors));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }

    /**
     * A reply of the program.
     *
     * @param accessKeyId null if there are no credentials
     * @param expiration null also if the SDK does not expose it
     * @param error what a user of the SDK reads; null if the call succeeded
     */
    record Reply(boolean ok, long millis, String accessKeyId, String expiration, String error) {

        static Reply parse(String line) {
            JsonObject json = new JsonObject(line);
            boolean ok = json.getBoolean("ok");
            String error = json.getString("error");
            if (ok == (error != null)) {
                throw new IllegalArgumentException("either ok or an error: " + line);
            }
            return new Reply(ok, json.getLong("millis"), json.getString("accessKeyId"), json.getString("expiration"), error);
        }
    }
}
