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
 * The agent's own service account as Kubernetes mounts it into its pod: the token for the API server, which kubelet
 * replaces long before it expires, and the API server's certificate authority. Looks at the files when it is asked, at
 * most once a minute, on a worker; while they cannot be read, what was read last stays in use. Confined to the event loop.
 */
final class OwnAccount {

    private static final Logger LOG = Logger.getLogger(OwnAccount.class);

    /** Kubelet replaces a token at 80 % of its lifetime, which is 10 minutes or more. */
    private static final Duration LOOK_INTERVAL = Duration.ofMinutes(1);
    /** A token has some KiB, and an authority a few certificates. */
    private static final int LARGEST_FILE = 1024 * 1024;
    /** What a header may carry. */
    private static final Pattern TOKEN = Pattern.compile("[\\x21-\\x7e]+");

    private final ApiServerAddress address;
    private final LongSupplier nanos;
    private final Executor loop;
    private final Executor worker;
    private Optional<Account> current = Optional.empty();
    /** When the files were last read, in nanoseconds of the monotonic clock; means nothing before that. */
    private long lookedAt;
    private Optional<Future<Account>> looking = Optional.empty();

    /** @param nanos of a monotonic clock */
    OwnAccount(ApiServerAddress address, LongSupplier nanos, Executor loop, Executor worker) {
        this.address = address;
        this.nanos = nanos;
        this.loop = loop;
        this.worker = worker;
    }

    /** The account as it was a minute ago at the most; fails with a {@link CallFailure} if it was never readable. */
    Future<Account> get() {
        boolean fresh = nanos.getAsLong() - lookedAt < LOOK_INTERVAL.toNanos();
        return current.isPresent() && fresh ? Future.succeededFuture(current.get()) : look();
    }

    /** What was read last; empty before that. */
    Optional<Account> latest() {
        return current;
    }

    /** The account as it is now. Those who ask while the files are being read share the outcome. */
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
            // Whoever serves the API in plain text, such as kubectl proxy, has an identity of its own.
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
            throw new CallFailure("The agent's token for the API server is expected in " + file + ", but the file contains"
                    + " none", false);
        }
        return token;
    }

    private static Authority authority(Path file, byte[] pem) throws CallFailure {
        try {
            return new Authority(pem, TrustRoots.of(pem, "The API server's certificate authority is expected in " + file)[0]);
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
     * What was read.
     *
     * @param token a secret
     * @param authority equal to itself only, and the same object as long as the file's content is the same
     */
    record Account(Optional<String> token, Optional<Authority> authority) {

        @Override
        public String toString() {
            return "Account[token " + (token.isPresent() ? "there" : "missing") + "]";
        }
    }

    /** Whom to trust to say who the API server is. */
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
