package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.outbound.TrustRoots;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.LongSupplier;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManager;
import org.jboss.logging.Logger;

/**
 * Reads the agent's own service account, as Kubernetes mounts it into the agent's pod: the token for the API server, which
 * kubelet replaces long before it expires, and the API server's certificate authority. It reads the files on demand, on a
 * worker, at most once a minute; while they cannot be read, it keeps the last good content. Confined to the event loop.
 */
final class OwnAccount {

    private static final Logger LOG = Logger.getLogger(OwnAccount.class);

    /** Kubelet replaces a token at 80 % of its lifetime, which is at least 10 minutes. */
    private static final Duration LOOK_INTERVAL = Duration.ofMinutes(1);
    /** A token takes a few KiB, and the authority a few certificates. */
    private static final int LARGEST_FILE = 1024 * 1024;
    /** The characters that an HTTP header may carry. */
    private static final Pattern TOKEN = Pattern.compile("[\\x21-\\x7e]+");

    private final ApiServerAddress address;
    private final LongSupplier nanos;
    private final Executor loop;
    private final Executor worker;
    private Optional<Account> current = Optional.empty();
    /** When the files were last read, in nanoseconds of the monotonic clock; undefined before the first read. */
    private long lookedAt;
    private Optional<Future<Account>> looking = Optional.empty();

    /** @param nanos a monotonic clock */
    OwnAccount(ApiServerAddress address, LongSupplier nanos, Executor loop, Executor worker) {
        this.address = address;
        this.nanos = nanos;
        this.loop = loop;
        this.worker = worker;
    }

    /** Returns the account, at most a minute old; fails with a {@link CallFailure} if it has never been readable. */
    Future<Account> get() {
        boolean fresh = nanos.getAsLong() - lookedAt < LOOK_INTERVAL.toNanos();
        return current.isPresent() && fresh ? Future.succeededFuture(current.get()) : look();
    }

    /** Returns what was last read; empty before the first read. */
    Optional<Account> latest() {
        return current;
    }

    /** Reads the account now. Concurrent callers share one read. */
    Future<Account> look() {
        return looking.orElseGet(() -> {
            Promise<Account> read = Promise.promise();
            looking = Optional.of(read.future());
            Optional<Account> last = current;
            CompletableFuture.supplyAsync(() -> outcome(last), worker)
                    .whenComplete((outcome, error) -> loop.execute(() -> {
                        if (error != null) {
                            LOG.error("Reading the agent's own service account failed unexpectedly", error);
                            notLooked(read, new CallFailure("The agent's own service account cannot be read", false));
                        } else {
                            outcome.onSuccess(account -> looked(read, account))
                                    .onFailure(failure -> notLooked(read, failure));
                        }
                    }));
            return read.future();
        });
    }

    private Future<Account> outcome(Optional<Account> last) {
        try {
            return Future.succeededFuture(read(last));
        } catch (CallFailure failure) {
            return Future.failedFuture(failure);
        }
    }

    private void looked(Promise<Account> read, Account account) {
        looking = Optional.empty();
        lookedAt = nanos.getAsLong();
        current = Optional.of(account);
        read.complete(account);
    }

    private void notLooked(Promise<Account> read, Throwable failure) {
        looking = Optional.empty();
        lookedAt = nanos.getAsLong();
        current.ifPresentOrElse(read::complete, () -> read.fail(failure));
    }

    private Account read(Optional<Account> last) throws CallFailure {
        Path tokenFile = address.serviceAccount().resolve("token");
        if (!address.secure()) {
            // A server of the API over plain HTTP, such as kubectl proxy, authenticates with its own identity.
            return new Account(Files.isReadable(tokenFile) ? Optional.of(token(tokenFile)) : Optional.empty(), Optional.empty());
        }
        Path authorityFile = address.serviceAccount().resolve("ca.crt");
        String token = token(tokenFile);
        byte[] pem = content(authorityFile, "the API server's certificate authority");
        Optional<Authority> same = last.flatMap(Account::authority).filter(known -> Arrays.equals(known.pem, pem));
        return new Account(Optional.of(token), Optional.of(same.isPresent() ? same.get() : authority(authorityFile, pem)));
    }

    private static String token(Path file) throws CallFailure {
        String token = new String(content(file, "the agent's token for the API server"), StandardCharsets.UTF_8).strip();
        if (!TOKEN.matcher(token).matches()) {
            throw new CallFailure("The file " + file + " must contain the agent's token for the API server, but it does not",
                    false);
        }
        return token;
    }

    private static Authority authority(Path file, byte[] pem) throws CallFailure {
        try {
            return new Authority(pem, TrustRoots.of(pem, "The API server's certificate authority must be in " + file)[0]);
        } catch (IllegalArgumentException e) {
            throw new CallFailure(e.getMessage(), false);
        }
    }

    private static byte[] content(Path file, String what) throws CallFailure {
        try (InputStream in = Files.newInputStream(file)) {
            return in.readNBytes(LARGEST_FILE);
        } catch (IOException e) {
            throw new CallFailure("The file " + file + " with " + what + " cannot be read: mount the service account's token"
                    + " into the agent's pod, or set --service-account-path", false);
        }
    }

    /**
     * The content of the files.
     *
     * @param token a secret
     * @param authority equal only to itself; the same object as long as the file's content is the same
     */
    record Account(Optional<String> token, Optional<Authority> authority) {

        @Override
        public String toString() {
            return "Account[token " + (token.isPresent() ? "there" : "missing") + "]";
        }
    }

    /** The certificate authority of the API server. */
    static final class Authority {

        private final byte[] pem;
        private final TrustManager trust;

        Authority(byte[] pem, TrustManager trust) {
            this.pem = pem;
            this.trust = trust;
        }

        TrustManager trust() {
            return trust;
        }
    }
}
