package dev.podidentity.agent.credentials;

import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import dev.podidentity.agent.verification.SigningKeys;
import io.vertx.core.json.JsonObject;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The true state of a cluster: its keys, the pods of its nodes, the tokens that it has issued, and the tokens that an
 * attacker has forged. All tokens carry real signatures. The tests compare what the agent decides with what this model
 * knows.
 */
final class ModelCluster {

    /** Signed tokens, shared by all runs because signing takes a millisecond or more. */
    private static final Map<List<Object>, String> SIGNED = new ConcurrentHashMap<>();

    /** The node that the agent runs on. */
    static final String NODE = "node-1";

    private static final Duration TOKEN_LIFETIME = Duration.ofHours(24);
    /** Most clusters have one key, and two or three during a key rotation. */
    private static final int MOST_KEYS = 3;
    /** Most of them are RSA keys, because RSA signatures verify 20 times as fast. */
    private static final List<KeyPair> PAIRS = List.of(rsa(), rsa(), SigningKeys.RSA, SigningKeys.P256);

    /** A signing key. A new key pair under the same {@code kid} is a different key. */
    record Key(String id, KeyPair pair) {

        String algorithm() {
            return pair.getPublic().getAlgorithm().equals("RSA") ? "RS256" : "ES256";
        }
    }

    /** A pod, as the API server knows it. */
    record Owner(String namespace, String account, String accountUid, String pod, String podUid, String node) {

        boolean sameAccount(Owner other) {
            return namespace.equals(other.namespace)
                    && account.equals(other.account)
                    && accountUid.equals(other.accountUid);
        }

        boolean samePod(Owner other) {
            return sameAccount(other) && podUid.equals(other.podUid);
        }
    }

    enum Kind {
        /** A token that the API server has issued. */
        GENUINE,
        /** Signed with a stolen key of the cluster that has since been withdrawn. */
        STOLEN_KEY,
        /** Signed with the attacker's key, under the {@code kid} of a key of the cluster. */
        OWN_KEY,
        /** Signed with the attacker's key, under a {@code kid} that the cluster does not have. */
        UNKNOWN_KEY,
        /** Signed with the attacker's key, without a {@code kid}. */
        NO_KEY_ID,
        /** Signed with the attacker's key, with an {@code alg} that does not match the signature. */
        OTHER_ALGORITHM,
        /** A genuine token whose claims were replaced by those of another pod. */
        CHANGED_CLAIMS,
        /** A genuine token in another base64url spelling. */
        REWRITTEN,
        /** A token whose {@code alg} is {@code none}. */
        NONE,
        /** A token signed by HMAC, with the public key as the secret. */
        HMAC
    }

    /**
     * A token, and the truth about it.
     *
     * @param owner the pod that it was issued to, or for a forged token the pod that it claims to belong to
     * @param issuer its {@code iss}
     * @param key the cluster's key that signed it, or null if it is forged
     * @param bound whether it names a pod
     * @param node the node that it names, or {@code ""}
     */
    record Token(
            String raw, Kind kind, Owner owner, String issuer, Key key, boolean bound, String node, Instant expiresAt) {

        boolean genuine() {
            return kind == Kind.GENUINE;
        }

        /** Returns whether a verifier that has the cluster's keys must not accept the token. */
        boolean forged() {
            return kind != Kind.GENUINE && kind != Kind.STOLEN_KEY;
        }

        @Override
        public String toString() {
            return kind + " token of " + owner + ", issuer " + issuer + ", bound " + bound + ", node \"" + node
                    + "\", key " + (key == null ? "none" : key.id()) + ", expires " + expiresAt;
        }
    }

    private final FakeTime time;
    private final Random random;
    private final Map<String, Token> tokens = new HashMap<>();
    /** The published keys. The last one signs new tokens. */
    private final List<Key> keys = new ArrayList<>();
    private final List<Key> withdrawn = new ArrayList<>();
    private final Set<Key> everUsed = new HashSet<>();
    private String issuer = "https://issuer-1";
    private String otherIssuer = "https://issuer-2";
    private int accountGeneration;
    private int pods;
    private int numbers;

    ModelCluster(FakeTime time, Random random) {
        this.time = time;
        this.random = random;
        addKey();
    }

    private static KeyPair rsa() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot make an RSA key", e);
        }
    }

    // Keys

    /** Returns the issuer that the published keys belong to. */
    String issuer() {
        return issuer;
    }

    List<Key> keys() {
        return keys;
    }

    PublishedKeys published() {
        JsonObject[] jwks = keys.stream().map(key -> SigningKeys.jwk(key.id(), key.pair())).toArray(JsonObject[]::new);
        return new PublishedKeys(issuer, SigningKeys.jwks(jwks));
    }

    /** Adds a key that signs all new tokens, and publishes it beside the others. */
    void addKey() {
        Key key = newKey();
        if (everUsed.add(key)) {
            keys.removeIf(other -> other.id().equals(key.id()) && withdrawn.add(other));
            keys.add(key);
        }
        if (keys.size() > MOST_KEYS) {
            withdrawn.add(keys.remove(0));
        }
    }

    /** Returns a key that sometimes reuses an old {@code kid} with a new key pair. */
    private Key newKey() {
        String id = "key-" + (random.nextInt(4) == 0 ? random.nextInt(1 + numbers) : numbers++);
        return new Key(id, PAIRS.get(new Random(everUsed.size()).nextInt(PAIRS.size())));
    }

    /** Withdraws a stolen key immediately. */
    void withdrawKey() {
        Key stolen = keys.get(random.nextInt(keys.size()));
        addKey();
        if (keys.size() > 1 && keys.remove(stolen)) {
            withdrawn.add(stolen);
        }
    }

    boolean hasWithdrawn() {
        return !withdrawn.isEmpty();
    }

    /** Makes the API server issue tokens under its other issuer URL. */
    void switchIssuer() {
        String before = issuer;
        issuer = otherIssuer;
        otherIssuer = before;
    }

    // Pods

    /** Creates a pod of the given name. The same account name occurs in two namespaces, and two accounts in each. */
    Owner newPod(String name) {
        int number = pods++;
        // Seeded with the number, so that all runs can share the signed tokens of a pod.
        Random ofPod = new Random(number);
        return new Owner(
                ofPod.nextInt(4) == 0 ? "pay" : "shop",
                ofPod.nextInt(4) == 0 ? "till" : "cart",
                "account-" + (ofPod.nextInt(4) == 0 ? accountGeneration : 0),
                name,
                "pod-" + number,
                ofPod.nextInt(8) == 0 ? "node-2" : NODE);
    }

    /** Deletes the service accounts and creates them again under the same names, with new UIDs. */
    void recreateAccounts() {
        accountGeneration++;
    }

    // Tokens

    /** Returns what is known of the token with the given text. */
    Token token(String raw) {
        return tokens.get(raw);
    }

    /** Issues any kind of token that the API server can issue. */
    Token issue(Owner owner) {
        boolean secondIssuer = random.nextInt(10) == 0;
        boolean bound = random.nextInt(12) > 0;
        // API servers before Kubernetes 1.30 name no node.
        String node = bound && random.nextInt(6) > 0 ? owner.node() : "";
        Duration age = random.nextInt(5) == 0 ? TOKEN_LIFETIME.minusMinutes(30) : Duration.ZERO;
        return issue(owner, secondIssuer ? otherIssuer : issuer, bound, node, age);
    }

    /** Issues a token as kubelet requests it. */
    Token issueUsual(Owner owner) {
        return issue(owner, issuer, true, owner.node(), Duration.ZERO);
    }

    private Token issue(Owner owner, String iss, boolean bound, String node, Duration age) {
        Instant expiresAt = expiry().minus(age);
        Key key = keys.get(keys.size() - 1);
        String raw = signed(key, claims(owner, iss, bound, node, expiresAt));
        return known(new Token(raw, Kind.GENUINE, owner, iss, key, bound, node, expiresAt));
    }

    /** Forges a token that claims to belong to the victim, or that is made from another token. */
    Token forge(Kind kind, Owner victim, Token other) {
        Instant expiresAt = expiry();
        JsonObject claims = claims(victim, issuer, true, NODE, expiresAt);
        Key key = keys.get(random.nextInt(keys.size()));
        KeyPair own = key.algorithm().equals("RS256") ? SigningKeys.OTHER_RSA : SigningKeys.OTHER_P256;
        JsonObject header = SigningKeys.header(key.algorithm(), key.id());
        return switch (kind) {
            case GENUINE -> throw new IllegalArgumentException("Not a forgery");
            case STOLEN_KEY -> {
                Key stolen = withdrawn.get(random.nextInt(withdrawn.size()));
                yield known(new Token(signed(stolen, claims), kind, victim, issuer, stolen, true, NODE, expiresAt));
            }
            case OWN_KEY -> forged(kind, victim, signed(header, claims, key.algorithm(), own), expiresAt);
            case UNKNOWN_KEY -> {
                header.put("kid", "own-" + random.nextInt(10));
                yield forged(kind, victim, signed(header, claims, key.algorithm(), own), expiresAt);
            }
            case NO_KEY_ID -> {
                header.remove("kid");
                yield forged(kind, victim, signed(header, claims, key.algorithm(), own), expiresAt);
            }
            case OTHER_ALGORITHM -> {
                header.put("alg", key.algorithm().equals("RS256") ? "ES256" : "RS256");
                yield forged(kind, victim, signed(header, claims, key.algorithm(), own), expiresAt);
            }
            case CHANGED_CLAIMS -> {
                String[] parts = other.raw().split("\\.");
                yield forged(kind, victim, parts[0] + '.' + Tokens.base64(claims.encode()) + '.' + parts[2], expiresAt);
            }
            case REWRITTEN -> known(new Token(
                    rewritten(other.raw()), kind, other.owner(), other.issuer(), null, other.bound(), other.node(),
                    other.expiresAt()));
            case NONE -> forged(
                    kind,
                    victim,
                    Tokens.base64(header.put("alg", "none").encode()) + '.' + Tokens.base64(claims.encode()) + '.'
                            + other.raw().split("\\.")[2],
                    expiresAt);
            case HMAC -> forged(
                    kind,
                    victim,
                    SigningKeys.mac(header.put("alg", "HS256"), claims, key.pair().getPublic().getEncoded()),
                    expiresAt);
        };
    }

    private Token forged(Kind kind, Owner victim, String raw, Instant expiresAt) {
        return known(new Token(raw, kind, victim, issuer, null, true, NODE, expiresAt));
    }

    /** Registers a token. Two tokens with the same text are the same token. */
    private Token known(Token token) {
        return tokens.computeIfAbsent(token.raw(), raw -> token);
    }

    /**
     * Returns the expiry of a token that is issued now. It changes only every 30 minutes, so that signed tokens can be
     * reused.
     */
    private Instant expiry() {
        long halfHours = time.elapsed().toMinutes() / 30;
        return FakeTime.START.plus(TOKEN_LIFETIME).plus(Duration.ofMinutes(30 * halfHours));
    }

    private static String signed(Key key, JsonObject claims) {
        return signed(SigningKeys.header(key.algorithm(), key.id()), claims, key.algorithm(), key.pair());
    }

    private static String signed(JsonObject header, JsonObject claims, String algorithm, KeyPair pair) {
        return SIGNED.computeIfAbsent(
                List.of(header.encode(), claims.encode(), algorithm, pair),
                same -> SigningKeys.sign(header.encode(), claims.encode(), algorithm, pair.getPrivate()));
    }

    /** Returns the same token with one of the unused trailing bits of its signature set. */
    private static String rewritten(String raw) {
        String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        int last = raw.length() - 1;
        return raw.substring(0, last) + alphabet.charAt(alphabet.indexOf(raw.charAt(last)) + 1);
    }

    private JsonObject claims(Owner owner, String iss, boolean bound, String node, Instant expiresAt) {
        JsonObject kubernetes = new JsonObject()
                .put("namespace", owner.namespace())
                .put("serviceaccount", new JsonObject().put("name", owner.account()).put("uid", owner.accountUid()));
        if (bound) {
            kubernetes.put("pod", new JsonObject().put("name", owner.pod()).put("uid", owner.podUid()));
        }
        if (!node.isEmpty()) {
            kubernetes.put("node", new JsonObject().put("name", node).put("uid", node + "-uid"));
        }
        long issuedAt = expiresAt.minus(TOKEN_LIFETIME).getEpochSecond();
        return Tokens.claims(time.now(), owner.pod())
                .put("exp", expiresAt.getEpochSecond())
                .put("iat", issuedAt)
                .put("nbf", issuedAt)
                .put("iss", iss)
                .put("sub", "system:serviceaccount:" + owner.namespace() + ':' + owner.account())
                .put("kubernetes.io", kubernetes);
    }
}
