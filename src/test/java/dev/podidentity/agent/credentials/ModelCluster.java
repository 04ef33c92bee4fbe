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
 * A cluster as it truly is: its keys, the pods of its nodes, the tokens that it has issued, and those that somebody has
 * made up. All tokens are signed for real. What the agent makes of them is compared with what is known here.
 */
final class ModelCluster {

    /** Signing takes a millisecond or more: what was signed in one run is used again in others. */
    private static final Map<List<Object>, String> SIGNED = new ConcurrentHashMap<>();

    /** The agent's. */
    static final String NODE = "node-1";

    private static final Duration TOKEN_LIFETIME = Duration.ofHours(24);
    /** Most clusters have one key; while they rotate it, two or three. */
    private static final int MOST_KEYS = 3;
    /** Most are RSA keys, as verifying is 20 times as fast with them. */
    private static final List<KeyPair> PAIRS = List.of(rsa(), rsa(), SigningKeys.RSA, SigningKeys.P256);

    /** A key: another pair under the same {@code kid} is another key. */
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
        /** Issued by the API server. */
        GENUINE,
        /** Signed with a key of the cluster by whoever has stolen it; the key has been withdrawn. */
        STOLEN_KEY,
        /** Signed by the attacker's own key under the {@code kid} of the cluster's. */
        OWN_KEY,
        /** The same under a {@code kid} of its own. */
        UNKNOWN_KEY,
        /** The same without a {@code kid}. */
        NO_KEY_ID,
        /** Says that its signature is of another algorithm. */
        OTHER_ALGORITHM,
        /** A genuine token with the claims of another pod. */
        CHANGED_CLAIMS,
        /** A genuine token that is written otherwise. */
        REWRITTEN,
        /** Its {@code alg} is {@code none}. */
        NONE,
        /** Its signature is an HMAC with the public key for a secret. */
        HMAC
    }

    /**
     * A token and what is true of it.
     *
     * @param owner the pod that it was issued to; of one that is made up, the pod that it claims to be
     * @param issuer its {@code iss}
     * @param key that has signed it, one of the cluster's; of one that is made up, null
     * @param bound whether it names a pod
     * @param node that it names, or {@code ""}
     */
    record Token(
            String raw, Kind kind, Owner owner, String issuer, Key key, boolean bound, String node, Instant expiresAt) {

        boolean genuine() {
            return kind == Kind.GENUINE;
        }

        /** Nobody who is told the cluster's keys can take it for genuine. */
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
    /** The last one signs. */
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

    /** The issuer whose tokens the published keys are for. */
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

    /** Signs with a new key from now on, and publishes it beside the others. */
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

    /** At times a new pair under an old {@code kid}. */
    private Key newKey() {
        String id = "key-" + (random.nextInt(4) == 0 ? random.nextInt(1 + numbers) : numbers++);
        return new Key(id, PAIRS.get(new Random(everUsed.size()).nextInt(PAIRS.size())));
    }

    /** Takes a key out of use at once, as it was stolen. */
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

    /** The API server issues tokens by its other name from now on. */
    void switchIssuer() {
        String before = issuer;
        issuer = otherIssuer;
        otherIssuer = before;
    }

    // Pods

    /** Gives a name to a new pod: the same account's name in two namespaces, two accounts in one. */
    Owner newPod(String name) {
        int number = pods++;
        // The same in every run, so that what was signed for one can be used in another.
        Random ofPod = new Random(number);
        return new Owner(
                ofPod.nextInt(4) == 0 ? "pay" : "shop",
                ofPod.nextInt(4) == 0 ? "till" : "cart",
                "account-" + (ofPod.nextInt(4) == 0 ? accountGeneration : 0),
                name,
                "pod-" + number,
                ofPod.nextInt(8) == 0 ? "node-2" : NODE);
    }

    /** Accounts are deleted and made anew under their names. */
    void recreateAccounts() {
        accountGeneration++;
    }

    // Tokens

    /** The token of that text. */
    Token token(String raw) {
        return tokens.get(raw);
    }

    /** Issues any token that the API server could. */
    Token issue(Owner owner) {
        boolean secondIssuer = random.nextInt(10) == 0;
        boolean bound = random.nextInt(12) > 0;
        // Older API servers name no node.
        String node = bound && random.nextInt(6) > 0 ? owner.node() : "";
        Duration age = random.nextInt(5) == 0 ? TOKEN_LIFETIME.minusMinutes(30) : Duration.ZERO;
        return issue(owner, secondIssuer ? otherIssuer : issuer, bound, node, age);
    }

    /** Issues the token that kubelet asks for. */
    Token issueUsual(Owner owner) {
        return issue(owner, issuer, true, owner.node(), Duration.ZERO);
    }

    private Token issue(Owner owner, String iss, boolean bound, String node, Duration age) {
        Instant expiresAt = expiry().minus(age);
        Key key = keys.get(keys.size() - 1);
        String raw = signed(key, claims(owner, iss, bound, node, expiresAt));
        return known(new Token(raw, Kind.GENUINE, owner, iss, key, bound, node, expiresAt));
    }

    /** Makes up a token that claims to be the victim's, or that is made of another token. */
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

    /** Two of one text are the same token. */
    private Token known(Token token) {
        return tokens.computeIfAbsent(token.raw(), raw -> token);
    }

    /** Of a token that was issued in this half hour. */
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

    /** The same token with a bit set beyond its signature's end, where no byte has room for it. */
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
