package dev.podidentity.agent.verification;

import java.security.PublicKey;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jose4j.keys.EllipticCurves;
import org.jose4j.keys.RsaKeyUtil;

/**
 * The algorithms for signing tokens, each with the keys that may use it: the key decides which one is allowed. Kubernetes
 * signs with RS256, ES256, ES384 and ES512; the larger RSA ones differ only in the hash. Any thread.
 */
enum SigningAlgorithm {
    RS256(RsaKeyUtil.RSA),
    RS384(RsaKeyUtil.RSA),
    RS512(RsaKeyUtil.RSA),
    ES256(EllipticCurves.P_256),
    ES384(EllipticCurves.P_384),
    ES512(EllipticCurves.P_521);

    /** Required by NIST and RFC 7518. */
    private static final int SMALLEST_RSA = 2048;
    /** A larger key would take a worker longer than any key in use deserves. */
    private static final int LARGEST_RSA = 8192;

    /** {@code RSA}, or the name of the curve. */
    private final String keys;

    SigningAlgorithm(String keys) {
        this.keys = keys;
    }

    /** Returns the algorithms of a key; empty if its kind or size is not allowed. */
    static Set<SigningAlgorithm> of(PublicKey key) {
        Set<SigningAlgorithm> fitting = EnumSet.noneOf(SigningAlgorithm.class);
        kindOf(key).ifPresent(kind -> Stream.of(values()).filter(one -> one.keys.equals(kind)).forEach(fitting::add));
        return fitting;
    }

    private static Optional<String> kindOf(PublicKey key) {
        if (key instanceof RSAPublicKey rsa) {
            int bits = rsa.getModulus().bitLength();
            return bits >= SMALLEST_RSA && bits <= LARGEST_RSA ? Optional.of(RsaKeyUtil.RSA) : Optional.empty();
        }
        if (key instanceof ECPublicKey ec) {
            return Optional.ofNullable(EllipticCurves.getName(ec.getParams().getCurve()));
        }
        return Optional.empty();
    }
}
