import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.BaseStream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * Runs inside the sandbox. `Harness build` compiles the programs of a batch together, a package each, program k to
 * `/tmp/built/k`; `Harness TASKS` calls them by reflection; `Harness <program> k` is program k, and
 * `Harness warm TASKS` calls whole programs. See `supervisor` for the protocol and
 * `parallel_mining.values` for the wire form.
 */
public final class Harness {
    private static final int ITEMS_KEPT = 10_000;
    private static final int DEPTH = 100;
    private static final Path BUILT = Path.of("/tmp/built");

    private static final class Unrepresentable extends RuntimeException {
        Unrepresentable(String why) {
            super(why);
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("<program>")) {
            whole(arguments[1]);
            return;
        }
        if (arguments[0].equals("warm")) {
            warm(new FileOutputStream("/proc/self/fd/3"), arguments[1]);
            Runtime.getRuntime().halt(0);
        }
        OutputStream protocol = new FileOutputStream("/proc/self/fd/3");
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setIn(InputStream.nullInputStream());
        if (arguments[0].equals("build")) {
            build(protocol, arguments.length > 1);
        } else {
            work(protocol, arguments[0]);
        }
        // Threads that a program left behind must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private static final class Flood extends Error {}

    // What a program may print before it is stopped; the supervisor allows less.
    private static final int PRINTED = 1 << 20;

    /** Call whole programs one after the other, each time in a class loader of its own; what is odd, leave to a process. */
    private static void warm(OutputStream protocol, String tasks) throws Exception {
        String k = "";
        for (String line : Files.readAllLines(Path.of(tasks), StandardCharsets.US_ASCII)) {
            String[] fields = line.split(" ", 3);
            if (fields[0].equals("P")) {
                k = fields[1];
                tell(protocol, "D " + k);
            } else {
                tell(protocol, "R " + k + " " + fields[1] + " " + printed(k, fields[2]));
            }
        }
    }

    private static String printed(String k, String wire) throws Exception {
        Matcher text = Pattern.compile("\\[s((?:[0-9a-f]{2})*);\\]").matcher(wire);
        if (!text.matches()) {
            return "z ";
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream() {
            @Override
            public synchronized void write(byte[] bytes, int from, int length) {
                if (count + length > PRINTED) {
                    throw new Flood();
                }
                super.write(bytes, from, length);
            }
        };
        System.setIn(new ByteArrayInputStream(HexFormat.of().parseHex(text.group(1))));
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        int threads = Thread.activeCount();
        try {
            mainOf(k).invoke(null, (Object) new String[0]);
        } catch (InvocationTargetException error) {
            Throwable cause = error.getCause();
            if (cause instanceof Flood) {
                return "u " + hexed("a result that is too large");
            }
            return cause instanceof VirtualMachineError ? "z " : "e " + hexed(told(cause));
        }
        System.out.flush();
        return Thread.activeCount() > threads ? "z " : "v p" + hex(out.toByteArray()) + ";";
    }

    private static void tell(OutputStream protocol, String line) throws Exception {
        protocol.write((line + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    private static String hexed(String text) {
        String cut = text.length() > 2000 ? text.substring(0, 2000) : text;
        return hex(cut.getBytes(StandardCharsets.UTF_8));
    }

    // Compiling -------------------------------------------------------------------------------------------------

    private static final Pattern PACKAGE = Pattern.compile("(?m)^[ \\t]*package\\s+[\\w.]+\\s*;");

    private static final class Source extends SimpleJavaFileObject {
        private final int k;
        private final String text;

        Source(int k, String text) {
            super(URI.create("string:///Program" + k + ".java"), Kind.SOURCE);
            this.k = k;
            this.text = text;
        }

        /** The program in a package of its own, so that no two programs of a batch have a class of the same name. */
        Source apart() {
            Matcher own = PACKAGE.matcher(text);
            return new Source(k, own.find() ? own.replaceFirst("package p" + k + ";") : "package p" + k + "; " + text);
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        // A public class may stand in a file of any name.
        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true;
        }
    }

    private static final class Output extends ForwardingJavaFileManager<JavaFileManager> {
        private Path folder;

        Output(JavaFileManager manager) {
            super(manager);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location l, String name, JavaFileObject.Kind kind, FileObject s) {
            Matcher apart = Pattern.compile("p(\\d+)\\..*").matcher(name);
            Path file = (apart.matches() ? BUILT.resolve(apart.group(1)) : folder).resolve(name + ".class");
            return new SimpleJavaFileObject(file.toUri(), kind) {
                @Override
                public OutputStream openOutputStream() throws java.io.IOException {
                    return Files.newOutputStream(file);
                }
            };
        }

        // What an earlier program of the batch left on the class path is none of this one's business.
        @Override
        public Iterable<JavaFileObject> list(
                Location location, String name, Set<JavaFileObject.Kind> kinds, boolean recurse)
                throws java.io.IOException {
            return location == javax.tools.StandardLocation.CLASS_PATH
                    ? List.of()
                    : super.list(location, name, kinds, recurse);
        }
    }

    // One error keeps a compiler from making any class, and hides the errors of later phases: those of types behind those
    // of syntax, those of flow behind those of types.
    private static final int ROUNDS = 6;

    private static void build(OutputStream protocol, boolean whole) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        DiagnosticCollector<JavaFileObject> ignored = new DiagnosticCollector<>();
        Output output = new Output(compiler.getStandardFileManager(ignored, Locale.ROOT, StandardCharsets.UTF_8));
        List<Source> left = new ArrayList<>();
        List<Source> odd = new ArrayList<>();
        Set<Integer> told = new HashSet<>();
        try (var entries = Files.newDirectoryStream(Path.of("/job/programs"))) {
            for (Path path : entries) {
                int k = Integer.parseInt(path.getFileName().toString().replace(".java", ""));
                Files.createDirectories(BUILT.resolve(String.valueOf(k)));
                left.add(new Source(k, Files.readString(path)));
            }
        }
        for (int round = 0; round < ROUNDS && !left.isEmpty(); round++) {
            Map<Integer, String> why = compile(compiler, output, left.stream().map(Source::apart).toList());
            if (why.isEmpty()) {
                left.clear();
                break;
            }
            for (Source source : left) {
                if (!why.containsKey(source.k)) {
                    continue;
                }
                if (PACKAGE.matcher(source.text).find()) {
                    odd.add(source);
                } else {
                    tell(protocol, "X " + source.k + " " + hexed(why.get(source.k)));
                    told.add(source.k);
                }
            }
            if (why.containsKey(-1)) {
                break;
            }
            left.removeIf(source -> why.containsKey(source.k));
        }
        // What may have failed for want of its own package, and what has no error that points at it, goes by itself.
        odd.addAll(left);
        for (Source source : odd) {
            output.folder = BUILT.resolve(String.valueOf(source.k));
            for (String why : compile(compiler, output, List.of(source)).values()) {
                tell(protocol, "X " + source.k + " " + hexed(why));
                told.add(source.k);
                break;
            }
        }
        if (whole) {
            try (var folders = Files.newDirectoryStream(BUILT)) {
                for (Path folder : folders) {
                    String k = folder.getFileName().toString();
                    if (!told.contains(Integer.parseInt(k)) && mainOf(k) == null) {
                        tell(protocol, "X " + k + " " + hexed("there is no public static void main(String[])"));
                    }
                }
            }
        }
        tell(protocol, "Z");
    }

    /** Compile programs together; return what is wrong, by program (-1: with none of them). */
    private static Map<Integer, String> compile(JavaCompiler compiler, Output output, List<Source> sources) {
        List<String> options = List.of("-proc:none", "-nowarn", "-g:none", "-Xlint:none", "-implicit:none",
                "-Xmaxerrs", "1000");
        DiagnosticCollector<JavaFileObject> said = new DiagnosticCollector<>();
        Map<Integer, String> why = new HashMap<>();
        try {
            if (compiler.getTask(null, output, said, options, null, sources).call()) {
                return why;
            }
        } catch (Throwable error) {
            return Map.of(-1, "the compiler failed: " + error);
        }
        for (Diagnostic<? extends JavaFileObject> one : said.getDiagnostics()) {
            if (one.getKind() == Diagnostic.Kind.ERROR) {
                Matcher name = Pattern.compile(".*Program(\\d+)\\.java")
                        .matcher(one.getSource() == null ? "" : one.getSource().toUri().toString());
                String told = "line " + one.getLineNumber() + ": " + one.getMessage(Locale.ROOT) + "\n";
                why.merge(name.matches() ? Integer.parseInt(name.group(1)) : -1, told, String::concat);
            }
        }
        return why.isEmpty() ? Map.of(-1, "it does not compile") : why;
    }

    // Loading ---------------------------------------------------------------------------------------------------

    private static final class Loader extends ClassLoader {
        private final Path folder;

        Loader(Path folder) {
            super(ClassLoader.getPlatformClassLoader());
            this.folder = folder;
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            try {
                byte[] code = Files.readAllBytes(folder.resolve(name + ".class"));
                return defineClass(name, code, 0, code.length);
            } catch (java.io.IOException error) {
                throw new ClassNotFoundException(name);
            }
        }
    }

    private record Entry(Method method, Object self) {}

    /** Be a whole program. */
    private static void whole(String k) throws Exception {
        try {
            mainOf(k).invoke(null, (Object) new String[0]);
        } catch (InvocationTargetException error) {
            System.out.flush();
            error.getCause().printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    /** Return a whole program's `main`, wherever it is, or nothing. */
    private static Method mainOf(String k) throws Exception {
        Loader loader = new Loader(BUILT.resolve(k));
        List<String> names = new ArrayList<>();
        try (var files = Files.newDirectoryStream(BUILT.resolve(k))) {
            files.forEach(file -> names.add(file.getFileName().toString().replace(".class", "")));
        }
        Collections.sort(names);
        for (String name : names) {
            for (Method method : Class.forName(name, false, loader).getDeclaredMethods()) {
                int is = method.getModifiers();
                if (method.getName().equals("main") && Modifier.isStatic(is) && Modifier.isPublic(is)
                        && Arrays.equals(method.getParameterTypes(), new Class<?>[] {String[].class})) {
                    method.setAccessible(true);
                    return method;
                }
            }
        }
        return null;
    }

    private static Entry load(String k, String entry, String[] declared) throws Throwable {
        Path folder = BUILT.resolve(k);
        int dot = entry.lastIndexOf('.');
        if (dot < 0) {
            throw new NoSuchMethodException(entry + " is not of the form Class.method");
        }
        String wanted = entry.substring(0, dot).replace('.', '$');
        Class<?> owner = null;
        Loader loader = new Loader(folder);
        try (var files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString().replace(".class", "");
                // The package, if any, is the program's own affair.
                if (name.equals(wanted) || name.endsWith("." + wanted) || name.endsWith("$" + wanted) && owner == null) {
                    owner = Class.forName(name, true, loader);
                }
            }
        }
        if (owner == null) {
            throw new NoSuchMethodException("no class " + entry.substring(0, dot));
        }
        Method best = null;
        int bestScore = -1;
        for (Method method : owner.getDeclaredMethods()) {
            if (!method.getName().equals(entry.substring(dot + 1)) || method.isBridge()) {
                continue;
            }
            int score = Modifier.isStatic(method.getModifiers()) ? 1 : 0;
            Class<?>[] types = method.getParameterTypes();
            if (types.length == declared.length) {
                score += 10;
                for (int i = 0; i < types.length; i++) {
                    score += canonical(types[i]).equals(declared[i].replaceAll("\\[.*", "")) ? 2 : 0;
                }
            }
            if (score > bestScore) {
                best = method;
                bestScore = score;
            }
        }
        if (best == null) {
            throw new NoSuchMethodException("no method " + entry);
        }
        best.setAccessible(true);
        Object self = null;
        if (!Modifier.isStatic(best.getModifiers())) {
            Constructor<?> constructor = owner.getDeclaredConstructor();
            constructor.setAccessible(true);
            self = constructor.newInstance();
        }
        return new Entry(best, self);
    }

    private static String canonical(Class<?> type) {
        if (type.isArray() || Iterable.class.isAssignableFrom(type)) {
            return Set.class.isAssignableFrom(type) ? "set" : "list";
        }
        return switch (type.getSimpleName()) {
            case "boolean", "Boolean" -> "bool";
            case "byte", "Byte" -> "int8";
            case "short", "Short" -> "int16";
            case "int", "Integer" -> "int32";
            case "long", "Long" -> "int64";
            case "float", "Float" -> "float32";
            case "double", "Double" -> "float";
            case "char", "Character" -> "char";
            case "String", "CharSequence" -> "str";
            case "BigInteger" -> "int";
            default -> Map.class.isAssignableFrom(type) ? "dict" : "any";
        };
    }

    // Arguments -------------------------------------------------------------------------------------------------

    private record Node(char tag, String text, List<Node> items) {}

    private static final class Reader {
        private final String wire;
        private int at;

        Reader(String wire) {
            this.wire = wire;
        }

        Node node() {
            char tag = wire.charAt(at++);
            int place = "[(<{".indexOf(tag);
            if (place >= 0) {
                char closing = "])>}".charAt(place);
                List<Node> items = new ArrayList<>();
                while (wire.charAt(at) != closing) {
                    items.add(node());
                }
                at++;
                return new Node(tag, "", items);
            }
            if ("ntf".indexOf(tag) >= 0) {
                return new Node(tag, "", List.of());
            }
            int end = wire.indexOf(';', at);
            String body = wire.substring(at, end);
            at = end + 1;
            if (tag == 's' || tag == 'c') {
                body = new String(HexFormat.of().parseHex(body), StandardCharsets.UTF_8);
            }
            return new Node(tag, body, List.of());
        }
    }

    private static Unrepresentable misfit(Node node, Object type) {
        return new Unrepresentable(node.tag + " " + node.text + " does not fit " + type);
    }

    private static long integer(Node node, long least, long most, Object type) {
        if (node.tag != 'i') {
            throw misfit(node, type);
        }
        try {
            long value = Long.parseLong(node.text);
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException error) {
            // Too long for any width: it does not fit.
        }
        throw misfit(node, type);
    }

    private static double floating(Node node, Object type) {
        return switch (node.tag) {
            case 'd', 'm' -> Double.longBitsToDouble(Long.parseUnsignedLong(node.text, 16));
            case 'i' -> Double.parseDouble(node.text);
            default -> throw misfit(node, type);
        };
    }

    private static Object argument(Node node, Type type) {
        if (type instanceof Class<?> plain) {
            return plain(node, plain, new Type[0]);
        }
        if (type instanceof ParameterizedType given) {
            return plain(node, (Class<?>) given.getRawType(), given.getActualTypeArguments());
        }
        if (type instanceof GenericArrayType array) {
            return array(node, array.getGenericComponentType());
        }
        Type[] bounds = type instanceof TypeVariable<?> variable
                ? variable.getBounds()
                : ((WildcardType) type).getLowerBounds().length > 0
                        ? ((WildcardType) type).getLowerBounds()
                        : ((WildcardType) type).getUpperBounds();
        Type bound = bounds[0] instanceof ParameterizedType given ? given.getRawType() : bounds[0];
        return bound == Comparable.class ? natural(node) : argument(node, bound);
    }

    private static Class<?> raw(Type type) {
        if (type instanceof Class<?> plain) {
            return plain;
        }
        if (type instanceof ParameterizedType given) {
            return (Class<?>) given.getRawType();
        }
        if (type instanceof GenericArrayType array) {
            return Array.newInstance(raw(array.getGenericComponentType()), 0).getClass();
        }
        return type instanceof TypeVariable<?> variable ? raw(variable.getBounds()[0]) : Object.class;
    }

    private static Object array(Node node, Type item) {
        if (node.tag == 'n') {
            return null;
        }
        if (node.tag == 's' && item == char.class) {
            return node.text.toCharArray();
        }
        if (node.tag == 'b' && item == byte.class) {
            return HexFormat.of().parseHex(node.text);
        }
        if (node.tag != '[' && node.tag != '(') {
            throw misfit(node, "an array");
        }
        Object made = Array.newInstance(raw(item), node.items.size());
        for (int i = 0; i < node.items.size(); i++) {
            Array.set(made, i, argument(node.items.get(i), item));
        }
        return made;
    }

    private static Object plain(Node node, Class<?> type, Type[] given) {
        if (type.isArray()) {
            return array(node, type.getComponentType());
        }
        if (node.tag == 'n') {
            if (type.isPrimitive()) {
                throw misfit(node, type);
            }
            return type == Optional.class ? Optional.empty() : null;
        }
        switch (type.getName()) {
            case "boolean", "java.lang.Boolean" -> {
                if (node.tag != 't' && node.tag != 'f') {
                    throw misfit(node, type);
                }
                return node.tag == 't';
            }
            case "byte", "java.lang.Byte" -> {
                return (byte) integer(node, Byte.MIN_VALUE, Byte.MAX_VALUE, type);
            }
            case "short", "java.lang.Short" -> {
                return (short) integer(node, Short.MIN_VALUE, Short.MAX_VALUE, type);
            }
            case "int", "java.lang.Integer" -> {
                return (int) integer(node, Integer.MIN_VALUE, Integer.MAX_VALUE, type);
            }
            case "long", "java.lang.Long" -> {
                return integer(node, Long.MIN_VALUE, Long.MAX_VALUE, type);
            }
            case "float", "java.lang.Float" -> {
                return (float) floating(node, type);
            }
            case "double", "java.lang.Double" -> {
                return floating(node, type);
            }
            case "char", "java.lang.Character" -> {
                if (node.tag != 's' && node.tag != 'c' || node.text.length() != 1) {
                    throw misfit(node, type);
                }
                return node.text.charAt(0);
            }
            case "java.lang.String", "java.lang.CharSequence" -> {
                if (node.tag != 's' && node.tag != 'c') {
                    throw misfit(node, type);
                }
                return node.text;
            }
            case "java.lang.StringBuilder" -> {
                return new StringBuilder(node.text);
            }
            case "java.math.BigInteger" -> {
                if (node.tag != 'i') {
                    throw misfit(node, type);
                }
                return new BigInteger(node.text);
            }
            case "java.lang.Object", "java.lang.Number", "java.lang.Comparable", "java.io.Serializable" -> {
                Object value = natural(node);
                if (!type.isInstance(value)) {
                    throw misfit(node, type);
                }
                return value;
            }
            case "java.util.Optional" -> {
                return Optional.of(argument(node, given.length > 0 ? given[0] : Object.class));
            }
            default -> {
                return container(node, type, given);
            }
        }
    }

    private static Object container(Node node, Class<?> type, Type[] given) {
        boolean listed = node.tag == '[' || node.tag == '(' || node.tag == '<';
        if (Map.class.isAssignableFrom(type) && node.tag == '{') {
            Map<Object, Object> made = made(type, LinkedHashMap.class, TreeMap.class);
            for (int i = 0; i < node.items.size(); i += 2) {
                Object key = argument(node.items.get(i), given.length > 1 ? given[0] : Object.class);
                made.put(key, argument(node.items.get(i + 1), given.length > 1 ? given[1] : Object.class));
            }
            return made;
        }
        if (listed && (Iterable.class.isAssignableFrom(type) || type == Iterator.class)) {
            Collection<Object> made = type == Iterator.class
                    ? new ArrayList<>()
                    : made(type, ArrayList.class, LinkedHashSet.class, TreeSet.class, ArrayDeque.class);
            for (Node item : node.items) {
                made.add(argument(item, given.length > 0 ? given[0] : Object.class));
            }
            return type == Iterator.class ? made.iterator() : made;
        }
        throw misfit(node, type);
    }

    // Make what the type is, or the first of the choices that it can hold.
    @SuppressWarnings("unchecked")
    private static <T> T made(Class<?> type, Class<?>... choices) {
        List<Class<?>> tries = new ArrayList<>();
        if (!type.isInterface() && !Modifier.isAbstract(type.getModifiers())) {
            tries.add(type);
        }
        tries.addAll(List.of(choices));
        for (Class<?> one : tries) {
            if (type.isAssignableFrom(one)) {
                try {
                    return (T) one.getConstructor().newInstance();
                } catch (ReflectiveOperationException error) {
                    // The next one may do.
                }
            }
        }
        throw new Unrepresentable("no " + type.getName() + " can be made");
    }

    private static Object natural(Node node) {
        switch (node.tag) {
            case 'n':
                return null;
            case 't', 'f':
                return node.tag == 't';
            case 'd', 'm':
                return floating(node, "double");
            case 's', 'c':
                return node.text;
            case 'i':
                BigInteger value = new BigInteger(node.text);
                if (value.bitLength() < 32) {
                    return value.intValue();
                }
                return value.bitLength() < 64 ? (Object) value.longValue() : value;
            case 'b':
                return HexFormat.of().parseHex(node.text);
            case '{':
                return plain(node, Map.class, new Type[0]);
            case '<':
                return plain(node, Set.class, new Type[0]);
            default:
                return plain(node, List.class, new Type[0]);
        }
    }

    /** Whether arguments of a type can be made at all. */
    private static boolean possible(Type type) {
        Class<?> plain = raw(type);
        while (plain.isArray()) {
            plain = plain.getComponentType();
        }
        if (plain.isPrimitive() || Iterable.class.isAssignableFrom(plain) || Map.class.isAssignableFrom(plain)) {
            return true;
        }
        return Set.of("Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double", "Character", "String",
                        "CharSequence", "StringBuilder", "BigInteger", "Object", "Number", "Comparable", "Serializable",
                        "Optional", "Iterator")
                .contains(plain.getSimpleName());
    }

    // Results ---------------------------------------------------------------------------------------------------

    private static void text(CharSequence item, StringBuilder out) {
        out.append('S').append(hex(item.toString().getBytes(StandardCharsets.UTF_16BE))).append(';');
    }

    private static String utf16(String item) {
        // getBytes would replace a lone surrogate.
        StringBuilder out = new StringBuilder("S");
        for (int i = 0; i < item.length(); i++) {
            out.append(String.format("%04x", (int) item.charAt(i)));
        }
        return out.append(';').toString();
    }

    private static void encode(Object item, StringBuilder out, int depth) throws ReflectiveOperationException {
        if (depth > DEPTH) {
            throw new Unrepresentable("nested too deep");
        }
        if (item == null) {
            out.append('n');
        } else if (item instanceof Boolean value) {
            out.append(value ? 't' : 'f');
        } else if (item instanceof Byte || item instanceof Short || item instanceof Integer || item instanceof Long) {
            int bits = item instanceof Byte ? 8 : item instanceof Short ? 16 : item instanceof Integer ? 32 : 64;
            out.append('i').append(bits).append(':').append(item).append(';');
        } else if (item instanceof BigInteger) {
            out.append('i').append(item).append(';');
        } else if (item instanceof Float value) {
            out.append('e').append(String.format("%08x", Float.floatToIntBits(value))).append(';');
        } else if (item instanceof Double value) {
            out.append('d').append(String.format("%016x", Double.doubleToLongBits(value))).append(';');
        } else if (item instanceof Character value) {
            if (Character.isSurrogate(value)) {
                out.append(utf16(value.toString()));
            } else {
                out.append('c').append(hex(value.toString().getBytes(StandardCharsets.UTF_8))).append(';');
            }
        } else if (item instanceof CharSequence value) {
            if (value.chars().anyMatch(c -> Character.isSurrogate((char) c))) {
                out.append(utf16(value.toString()));
            } else {
                text(value, out);
            }
        } else if (item instanceof byte[] value) {
            out.append('b').append(hex(value)).append(';');
        } else if (item.getClass().isArray()) {
            out.append('[');
            for (int i = 0; i < Array.getLength(item); i++) {
                encode(Array.get(item, i), out, depth + 1);
            }
            out.append(']');
        } else if (item instanceof Map<?, ?> value) {
            out.append('{');
            for (Map.Entry<?, ?> pair : value.entrySet()) {
                encode(pair.getKey(), out, depth + 1);
                encode(pair.getValue(), out, depth + 1);
            }
            out.append('}');
        } else if (item instanceof Map.Entry<?, ?> pair) {
            out.append('(');
            encode(pair.getKey(), out, depth + 1);
            encode(pair.getValue(), out, depth + 1);
            out.append(')');
        } else if (item instanceof Set<?> value) {
            out.append('<');
            for (Object one : value) {
                encode(one, out, depth + 1);
            }
            out.append('>');
        } else if (item instanceof Iterable<?> value) {
            each(value.iterator(), out, depth);
        } else if (item instanceof Iterator<?> value) {
            each(value, out, depth);
        } else if (item instanceof BaseStream<?, ?> value) {
            each(value.iterator(), out, depth);
        } else if (item instanceof Optional<?> value) {
            encode(value.orElse(null), out, depth + 1);
        } else if (item instanceof OptionalInt value) {
            encode(value.isPresent() ? (Object) value.getAsInt() : null, out, depth + 1);
        } else if (item instanceof OptionalLong value) {
            encode(value.isPresent() ? (Object) value.getAsLong() : null, out, depth + 1);
        } else if (item instanceof OptionalDouble value) {
            encode(value.isPresent() ? (Object) value.getAsDouble() : null, out, depth + 1);
        } else if (item.getClass().isRecord()) {
            String name = item.getClass().getSimpleName();
            out.append('r').append(hex(name.getBytes(StandardCharsets.UTF_8))).append(";{");
            for (RecordComponent part : item.getClass().getRecordComponents()) {
                text(part.getName(), out);
                part.getAccessor().setAccessible(true);
                encode(part.getAccessor().invoke(item), out, depth + 1);
            }
            out.append('}');
        } else {
            throw new Unrepresentable("a " + item.getClass().getName() + " has no canonical form");
        }
    }

    private static void each(Iterator<?> items, StringBuilder out, int depth) throws ReflectiveOperationException {
        out.append('[');
        for (int i = 0; items.hasNext(); i++) {
            if (i >= 10 * ITEMS_KEPT) {
                throw new Unrepresentable("too many items");
            }
            encode(items.next(), out, depth + 1);
        }
        out.append(']');
    }

    // Calling ---------------------------------------------------------------------------------------------------

    private static String call(Entry entry, String wire) {
        Object[] arguments;
        try {
            List<Node> given = new Reader(wire).node().items;
            Type[] types = entry.method.getGenericParameterTypes();
            if (given.size() != types.length) {
                throw new Unrepresentable(given.size() + " arguments for " + types.length + " parameters");
            }
            arguments = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                arguments[i] = argument(given.get(i), types[i]);
            }
        } catch (RuntimeException error) {
            return "u " + hexed(String.valueOf(error.getMessage()));
        }
        try {
            Object result = entry.method.invoke(entry.self, arguments);
            StringBuilder out = new StringBuilder("v ");
            encode(result, out, 0);
            return out.toString();
        } catch (InvocationTargetException error) {
            Throwable cause = error.getCause();
            return (cause instanceof OutOfMemoryError ? "m " : "e ") + hexed(told(cause));
        } catch (Unrepresentable error) {
            return "u " + hexed(error.getMessage());
        } catch (OutOfMemoryError error) {
            return "m " + hexed("OutOfMemoryError");
        } catch (Throwable error) {
            return "e " + hexed(told(error));
        }
    }

    private static String told(Throwable error) {
        try {
            return error.toString();
        } catch (Throwable worse) {
            return error.getClass().getName();
        }
    }

    private static void work(OutputStream protocol, String tasks) throws Exception {
        String k = "";
        Entry entry = null;
        for (String line : Files.readAllLines(Path.of(tasks), StandardCharsets.US_ASCII)) {
            String[] fields = line.split(" ", 4);
            if (fields[0].equals("P")) {
                k = fields[1];
                entry = null;
                String declared = fields[3].substring(0, fields[3].indexOf('>'));
                try {
                    entry = load(k, fields[2], declared.equals("-") ? new String[0] : declared.split(";"));
                    for (Type type : entry.method.getGenericParameterTypes()) {
                        if (!possible(type)) {
                            tell(protocol, "U " + k + " " + hexed("no argument can be made for " + type));
                            entry = null;
                            break;
                        }
                    }
                } catch (Throwable error) {
                    Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
                    tell(protocol, "X " + k + " " + hexed(told(cause)));
                    continue;
                }
                if (entry != null) {
                    tell(protocol, "D " + k);
                }
            } else if (entry != null) {
                tell(protocol, "R " + k + " " + fields[1] + " " + call(entry, fields[2]));
            }
        }
    }
}
