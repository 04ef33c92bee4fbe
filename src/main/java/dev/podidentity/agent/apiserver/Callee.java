package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.outbound.CallFailure;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;

/**
 * Whom a call is made to, in the words of its failures.
 *
 * @param name starts a sentence
 * @param reach what to do if it cannot be reached
 * @param trust what to do if its certificate is not accepted
 */
public record Callee(String name, String reach, String trust) {

    /** A chain of causes is not longer than this, or is a ring. */
    private static final int LONGEST_CHAIN = 20;

    CallFailure late() {
        return failure("has not answered in time: " + reach);
    }

    CallFailure tooLarge(int mostBytes) {
        return failure("answers with more than " + mostBytes + " bytes: check that this is its URL");
    }

    CallFailure closing() {
        return failure("is not asked any more: the agent stops");
    }

    /** Says what became of a call, without the text of the exception: it was not written for the log of an agent. */
    public CallFailure of(Throwable thrown) {
        Optional<Throwable> known = cause(thrown, CallFailure.class);
        if (known.isPresent()) {
            return (CallFailure) known.get();
        }
        if (cause(thrown, TimeoutException.class).isPresent()) {
            return late();
        }
        if (cause(thrown, UnknownHostException.class).isPresent()) {
            return failure("has no address: " + reach);
        }
        if (cause(thrown, CertificateException.class).isPresent()) {
            return failure("shows a certificate that is not accepted: " + trust);
        }
        // A kind of SSLException, but what does not answer says nothing about its TLS.
        if (cause(thrown, SslHandshakeTimeoutException.class).isPresent()) {
            return late();
        }
        if (cause(thrown, SSLException.class).isPresent()) {
            return failure("does not speak TLS with the agent: " + trust);
        }
        if (cause(thrown, ConnectException.class).isPresent()) {
            return failure("cannot be reached: " + reach);
        }
        if (cause(thrown, IOException.class).isPresent()) {
            return failure("cannot be talked to: " + reach);
        }
        return failure("broke its answer off, or what answers is not HTTP: " + reach);
    }

    private CallFailure failure(String predicate) {
        return new CallFailure(name + ' ' + predicate, false);
    }

    private static Optional<Throwable> cause(Throwable thrown, Class<? extends Throwable> type) {
        return Stream.iterate(thrown, error -> error != null, Throwable::getCause)
                .limit(LONGEST_CHAIN)
                .filter(type::isInstance)
                .findFirst();
    }
}
