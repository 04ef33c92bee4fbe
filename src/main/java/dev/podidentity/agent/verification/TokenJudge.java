package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.Claims;
import dev.podidentity.agent.token.CompactJwt;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.RejectedToken.Rejection;
import dev.podidentity.agent.token.Validity;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.TokenParser.Outcome;
import java.util.Optional;
import java.util.Set;

/**
 * Verifies tokens with keys. Uses only the token's text, and of its header only {@code kid}, which names the key, and {@code
 * alg}, which the key must allow. Keys or addresses of keys in the header ({@code jwk}, {@code jku}, {@code x5c}, {@code
 * x5u}) are ignored. Has no state except its configuration; any thread.
 */
final class TokenJudge {

    private final String audience;
    private final TokenParser parser;

    TokenJudge(String audience) {
        this.audience = audience;
        this.parser = new TokenParser(audience);
    }

    /**
     * Verifies a token. Takes up to some milliseconds, depending on its algorithm, which suits a worker thread.
     *
     * @param raw a compact JWT
     * @return what it proves while it is valid; why it is rejected; or that it has an unknown key, no pod, or another issuer
     */
    Judgement judge(String raw, VerificationKeys keys) {
        try {
            CompactJwt jwt = CompactJwt.parse(raw);
            Optional<String> keyId = jwt.keyId();
            Set<VerificationKey> candidates = keyId.map(keys::named).orElse(Set.of());
            if (candidates.isEmpty()) {
                return Judgement.of(new NotVerified(NotVerified.Reason.UNKNOWN_KEY));
            }
            Claims claims = new Claims(jwt.claims());
            claims.requireAudience(audience);
            Optional<Validity> validity = Optional.of(claims.validity());
            String issuer = claims.text("iss").filter(text -> !text.isEmpty()).orElseThrow(() -> Rejection.invalid(
                    "The token has no iss claim: a projected service-account token always has one"));
            // An API server can have several issuers, which sign with the same keys. EKS Auth knows which of them it
            // accepts.
            return new Judgement(
                    switch (parsed(jwt, candidates, keys.issuer())) {
                        case GENUINE -> workload(claims, issuer);
                        case OTHER_ISSUER -> new NotVerified(NotVerified.Reason.OTHER_ISSUER);
                        case BAD_CLAIMS -> contradictory(claims, issuer);
                        case NOT_SIGNED -> throw Rejection.invalid("The token's signature is not the cluster's: somebody has"
                                + " changed or made it up; use the token file that EKS Pod Identity mounts into the pod");
                    },
                    validity);
        } catch (Rejection e) {
            return Judgement.of(e.rejected());
        }
    }

    /** Returns the parser's result for the first key that has signed the token. */
    private Outcome parsed(CompactJwt jwt, Set<VerificationKey> candidates, String issuer) throws Rejection {
        if (jwt.header().containsKey("crit")) {
            throw Rejection.invalid("The token's header has crit: Kubernetes makes no such tokens");
        }
        String name = jwt.algorithm().orElseThrow(() -> Rejection.invalid("The token's header has no alg"));
        jwt.requireCanonicalSignature();
        boolean fits = false;
        for (VerificationKey candidate : candidates) {
            Optional<SigningAlgorithm> algorithm = candidate.algorithm(name);
            if (algorithm.isPresent()) {
                fits = true;
                Outcome outcome = parser.parse(jwt.raw(), candidate, algorithm.get(), issuer);
                if (outcome != Outcome.NOT_SIGNED) {
                    return outcome;
                }
            }
        }
        if (!fits) {
            throw Rejection.invalid("The token's alg is not one that its key may be used with");
        }
        return Outcome.NOT_SIGNED;
    }

    /** Explains what is wrong with claims that the parser has rejected. */
    private static Verification contradictory(Claims claims, String issuer) throws Rejection {
        workload(claims, issuer);
        return RejectedToken.invalid("The token's claims contradict each other: Kubernetes makes no such tokens");
    }

    private static Verification workload(Claims claims, String issuer) throws Rejection {
        Claims kubernetes = claims.object("kubernetes.io");
        Claims account = kubernetes.object("serviceaccount");
        String namespace = required(kubernetes, "namespace");
        String serviceAccount = required(account, "name");
        String serviceAccountUid = required(account, "uid");
        if (!claims.text("sub").equals(Optional.of("system:serviceaccount:" + namespace + ":" + serviceAccount))) {
            throw Rejection.invalid("The token's sub is not its service account");
        }
        Claims pod = kubernetes.object("pod");
        Optional<String> podName = present(pod, "name");
        Optional<String> podUid = present(pod, "uid");
        if (podName.isEmpty() || podUid.isEmpty()) {
            return new NotVerified(NotVerified.Reason.NO_POD);
        }
        return new VerifiedClaims(
                issuer,
                namespace,
                serviceAccount,
                serviceAccountUid,
                podName.get(),
                podUid.get(),
                present(kubernetes.object("node"), "name"));
    }

    private static String required(Claims parent, String claim) throws Rejection {
        return present(parent, claim).orElseThrow(() -> Rejection.invalid(
                "The token is not the projected token of a service account: it does not name its namespace, name and UID"));
    }

    private static Optional<String> present(Claims parent, String claim) throws Rejection {
        return parent.text(claim).filter(text -> !text.isEmpty());
    }
}
