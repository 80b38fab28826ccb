// Runs inside the sandbox: calls the programs of a batch, compiled into one assembly with a namespace each, by reflection.
// See `supervisor` for the protocol and `parallel_mining.values` for the wire form.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Numerics;
using System.Reflection;
using System.Text;

public sealed class Unrepresentable : Exception
{
    public Unrepresentable(string why) : base(why) { }
}

public sealed class Node
{
    public char Tag;
    public string Text = "";
    public List<Node> Items = new List<Node>();

    public bool Listed { get { return Tag == '[' || Tag == '(' || Tag == '<'; } }
}

public static class Harness
{
    const int ItemsKept = 100000;
    const int Depth = 100;
    const BindingFlags Any =
        BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic
        | BindingFlags.DeclaredOnly;
    // A type parameter is given one of these, the first that the constraints and the arguments allow.
    static readonly Type[] Instances = { typeof(int), typeof(long), typeof(double), typeof(string), typeof(object) };

    static FileStream protocol;

    public static int Main(string[] arguments)
    {
        if (arguments[0] == "<program>") return Whole(arguments[1]);
        protocol = new FileStream("/proc/self/fd/3", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1);
        Console.SetOut(TextWriter.Null);
        Console.SetIn(TextReader.Null);
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        var assembly = Assembly.LoadFrom("/tmp/built.dll");
        string k = "";
        MethodInfo method = null;
        object self = null;
        foreach (var line in File.ReadLines(arguments[0]))
        {
            var fields = line.Split(new[] { ' ' }, 4);
            if (fields[0] == "P")
            {
                k = fields[1];
                method = null;
                try
                {
                    var declared = fields[3].Substring(0, fields[3].IndexOf('>'));
                    method = Find(assembly, "P" + k, fields[2], declared == "-" ? new string[0] : declared.Split(';'));
                    var odd = method.GetParameters().FirstOrDefault(p => !Possible(p.ParameterType, 0));
                    if (odd != null)
                    {
                        method = null;
                        Tell("U " + k + " " + Hexed("no argument can be made for " + odd.ParameterType));
                        continue;
                    }
                    self = method.IsStatic ? null : Activator.CreateInstance(method.DeclaringType, true);
                    System.Runtime.CompilerServices.RuntimeHelpers.RunClassConstructor(
                        method.DeclaringType.TypeHandle);
                    Tell("D " + k);
                }
                catch (Exception error)
                {
                    method = null;
                    Tell("X " + k + " " + Hexed(Told(error)));
                }
            }
            else if (method != null)
            {
                Tell("R " + k + " " + fields[1] + " " + Call(method, self, fields[2]));
            }
        }
        protocol.Flush();
        // Threads that a program left behind must not keep the process.
        Environment.Exit(0);
        return 0;
    }

    /// Be a whole program: its Main, wherever it is.
    static int Whole(string k)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var main = Loaded(Assembly.LoadFrom("/tmp/built.dll"))
            .Where(type => type.FullName.StartsWith("P" + k + ".") && !type.ContainsGenericParameters)
            .SelectMany(type => type.GetMethods(Any))
            .FirstOrDefault(method => method.IsStatic && method.Name == "Main" && method.GetParameters().Length < 2);
        int status = 1;
        try
        {
            if (main == null) throw new MissingMethodException("there is no static Main");
            var result = main.Invoke(null, main.GetParameters().Length == 0 ? null : new object[] { new string[0] });
            var task = result as System.Threading.Tasks.Task;
            if (task != null) task.GetAwaiter().GetResult();
            var coming = task as System.Threading.Tasks.Task<int>;
            status = coming != null ? coming.Result : result is int ? (int)result : 0;
        }
        catch (Exception error)
        {
            Console.Error.WriteLine("Unhandled exception. " + Told(error));
        }
        Console.Out.Flush();
        // Threads that a program left behind must not keep the process.
        Environment.Exit(status);
        return status;
    }

    static void Tell(string line)
    {
        var bytes = Encoding.ASCII.GetBytes(line + "\n");
        protocol.Write(bytes, 0, bytes.Length);
        protocol.Flush();
    }

    static string Hex(byte[] bytes)
    {
        return BitConverter.ToString(bytes).Replace("-", "").ToLowerInvariant();
    }

    static byte[] Unhex(string hex)
    {
        var bytes = new byte[hex.Length / 2];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = Convert.ToByte(hex.Substring(2 * i, 2), 16);
        return bytes;
    }

    static string Hexed(string text)
    {
        return Hex(Encoding.UTF8.GetBytes(text.Length > 2000 ? text.Substring(0, 2000) : text));
    }

    static string Told(Exception error)
    {
        while ((error is TargetInvocationException || error is TypeInitializationException)
               && error.InnerException != null) error = error.InnerException;
        try { return error.GetType().Name + ": " + error.Message; }
        catch (Exception) { return error.GetType().Name; }
    }

    // Finding ----------------------------------------------------------------------------------------------------

    static Type[] loaded;

    /// All types of the batch, but those that the runtime refuses: they are the affair of the program that has them.
    static Type[] Loaded(Assembly assembly)
    {
        if (loaded != null) return loaded;
        try { loaded = assembly.GetTypes(); }
        catch (ReflectionTypeLoadException error) { loaded = error.Types.Where(type => type != null).ToArray(); }
        return loaded;
    }

    static MethodInfo Find(Assembly assembly, string space, string entry, string[] declared)
    {
        int dot = entry.LastIndexOf('.');
        if (dot < 0) throw new MissingMethodException(entry + " is not of the form Class.Method");
        string wanted = entry.Substring(0, dot).Replace('.', '+'), name = entry.Substring(dot + 1);
        MethodInfo best = null;
        int bestScore = -1;
        foreach (var type in Loaded(assembly))
        {
            var full = type.FullName;
            if (!full.StartsWith(space + ".")) continue;
            // The namespace, if any, is the program's own affair.
            bool same = full.EndsWith("." + wanted) || full.EndsWith("+" + wanted);
            if (!same || type.ContainsGenericParameters) continue;
            foreach (var method in type.GetMethods(Any).Where(m => m.Name == name))
            {
                int score = method.IsStatic ? 1 : 0;
                var types = method.GetParameters();
                if (types.Length == declared.Length)
                {
                    score += 10;
                    for (int i = 0; i < types.Length; i++)
                    {
                        if (Canonical(types[i].ParameterType) == declared[i].Split('[')[0]) score += 2;
                    }
                }
                if (score > bestScore)
                {
                    best = method;
                    bestScore = score;
                }
            }
        }
        if (best == null) throw new MissingMethodException("no method " + entry);
        return best;
    }

    static string Canonical(Type type)
    {
        switch (Type.GetTypeCode(type))
        {
            case TypeCode.Boolean: return "bool";
            case TypeCode.SByte: return "int8";
            case TypeCode.Byte: return "uint8";
            case TypeCode.Int16: return "int16";
            case TypeCode.UInt16: return "uint16";
            case TypeCode.Int32: return "int32";
            case TypeCode.UInt32: return "uint32";
            case TypeCode.Int64: return "int64";
            case TypeCode.UInt64: return "uint64";
            case TypeCode.Single: return "float32";
            case TypeCode.Double: return "float";
            case TypeCode.Char: return "char";
            case TypeCode.String: return "str";
        }
        if (type == typeof(BigInteger)) return "int";
        if (typeof(IDictionary).IsAssignableFrom(type)) return "dict";
        return typeof(IEnumerable).IsAssignableFrom(type) ? "list" : "any";
    }

    static bool Possible(Type type, int depth)
    {
        if (type.IsByRef || type.IsPointer || depth > 10) return false;
        if (type.IsGenericParameter) return true;
        if (type.IsArray) return Possible(type.GetElementType(), depth + 1);
        if (type.IsEnum) return false;
        if (Type.GetTypeCode(type) != TypeCode.Object) return type != typeof(DateTime) && type != typeof(DBNull);
        if (type == typeof(object) || type == typeof(BigInteger) || type == typeof(StringBuilder)) return true;
        if (type == typeof(IEnumerable) || type == typeof(IList) || type == typeof(IComparable)) return true;
        if (!type.IsGenericType) return false;
        if (typeof(Delegate).IsAssignableFrom(type)) return false;
        var name = type.GetGenericTypeDefinition().FullName;
        bool known = name.StartsWith("System.Nullable`") || name.StartsWith("System.Tuple`")
            || name.StartsWith("System.ValueTuple`") || name.StartsWith("System.Collections.Generic.");
        return known && type.GetGenericArguments().All(inner => Possible(inner, depth + 1));
    }

    // Arguments --------------------------------------------------------------------------------------------------

    static Node Read(string wire, ref int at)
    {
        var node = new Node { Tag = wire[at++] };
        int place = "[(<{".IndexOf(node.Tag);
        if (place >= 0)
        {
            while (wire[at] != "])>}"[place]) node.Items.Add(Read(wire, ref at));
            at++;
            return node;
        }
        if ("ntf".IndexOf(node.Tag) >= 0) return node;
        int end = wire.IndexOf(';', at);
        node.Text = wire.Substring(at, end - at);
        at = end + 1;
        if (node.Tag == 's' || node.Tag == 'c') node.Text = Encoding.UTF8.GetString(Unhex(node.Text));
        return node;
    }

    static Unrepresentable Misfit(Node node, Type type)
    {
        return new Unrepresentable(node.Tag + " " + node.Text + " does not fit " + type);
    }

    static double Floating(Node node, Type type)
    {
        if (node.Tag == 'd' || node.Tag == 'm')
        {
            return BitConverter.Int64BitsToDouble((long)ulong.Parse(node.Text, NumberStyles.HexNumber));
        }
        if (node.Tag == 'i') return double.Parse(node.Text, CultureInfo.InvariantCulture);
        throw Misfit(node, type);
    }

    static object Argument(Node node, Type type)
    {
        var inner = Nullable.GetUnderlyingType(type);
        if (inner != null) return node.Tag == 'n' ? null : Argument(node, inner);
        if (type == typeof(object) || type == typeof(IComparable)) return Natural(node);
        if (type.IsValueType && node.Tag == 'n') throw Misfit(node, type);
        switch (Type.GetTypeCode(type))
        {
            case TypeCode.Boolean:
                if (node.Tag != 't' && node.Tag != 'f') throw Misfit(node, type);
                return node.Tag == 't';
            case TypeCode.SByte:
            case TypeCode.Byte:
            case TypeCode.Int16:
            case TypeCode.UInt16:
            case TypeCode.Int32:
            case TypeCode.UInt32:
            case TypeCode.Int64:
            case TypeCode.UInt64:
                if (node.Tag != 'i') throw Misfit(node, type);
                try { return Convert.ChangeType(decimal.Parse(node.Text), type); }
                catch (OverflowException) { throw Misfit(node, type); }
            case TypeCode.Single:
                return (float)Floating(node, type);
            case TypeCode.Double:
                return Floating(node, type);
            case TypeCode.Decimal:
                try { return node.Tag == 'i' ? decimal.Parse(node.Text) : (decimal)Floating(node, type); }
                catch (OverflowException) { throw Misfit(node, type); }
            case TypeCode.Char:
                if ((node.Tag != 's' && node.Tag != 'c') || node.Text.Length != 1) throw Misfit(node, type);
                return node.Text[0];
            case TypeCode.String:
                if (node.Tag == 'n') return null;
                if (node.Tag != 's' && node.Tag != 'c') throw Misfit(node, type);
                return node.Text;
        }
        if (type == typeof(BigInteger))
        {
            if (node.Tag != 'i') throw Misfit(node, type);
            return BigInteger.Parse(node.Text);
        }
        if (node.Tag == 'n') return null;
        if (type == typeof(StringBuilder)) return new StringBuilder(node.Text);
        if (type.IsArray) return type.GetArrayRank() == 1 ? Row(node, type.GetElementType()) : Grid(node, type);
        if (!type.IsGenericType) return Row(node, typeof(object));
        return Container(node, type);
    }

    static Array Row(Node node, Type item)
    {
        if (node.Tag == 's' && item == typeof(char)) return node.Text.ToCharArray();
        if (node.Tag == 'b' && item == typeof(byte)) return Unhex(node.Text);
        if (!node.Listed) throw Misfit(node, item.MakeArrayType());
        var row = Array.CreateInstance(item, node.Items.Count);
        for (int i = 0; i < row.Length; i++) row.SetValue(Argument(node.Items[i], item), i);
        return row;
    }

    static Array Grid(Node node, Type type)
    {
        if (type.GetArrayRank() != 2 || !node.Listed) throw Misfit(node, type);
        int width = node.Items.Count == 0 ? 0 : node.Items[0].Items.Count;
        if (node.Items.Any(line => !line.Listed || line.Items.Count != width)) throw Misfit(node, type);
        var grid = Array.CreateInstance(type.GetElementType(), node.Items.Count, width);
        for (int i = 0; i < node.Items.Count; i++)
        {
            for (int j = 0; j < width; j++) grid.SetValue(Argument(node.Items[i].Items[j], type.GetElementType()), i, j);
        }
        return grid;
    }

    static object Container(Node node, Type type)
    {
        var inner = type.GetGenericArguments();
        var name = type.GetGenericTypeDefinition().Name;
        if (name.StartsWith("Tuple`") || name.StartsWith("ValueTuple`") || name.StartsWith("KeyValuePair`"))
        {
            if (!node.Listed || node.Items.Count != inner.Length) throw Misfit(node, type);
            return Activator.CreateInstance(type, node.Items.Select((item, i) => Argument(item, inner[i])).ToArray());
        }
        if (name.Contains("Dictionary`") || name == "SortedList`2")
        {
            if (node.Tag != '{') throw Misfit(node, type);
            var made = (IDictionary)Activator.CreateInstance(
                type.IsInterface ? typeof(Dictionary<,>).MakeGenericType(inner) : type);
            for (int i = 0; i < node.Items.Count; i += 2)
            {
                made.Add(Argument(node.Items[i], inner[0]), Argument(node.Items[i + 1], inner[1]));
            }
            return made;
        }
        if (inner.Length != 1) throw Misfit(node, type);
        if (name == "IEnumerator`1") throw Misfit(node, type);
        var row = Row(node, inner[0]);
        if (!type.IsInterface) return Activator.CreateInstance(type, new object[] { row });
        var shape = name == "ISet`1" ? typeof(HashSet<>) : typeof(List<>);
        return Activator.CreateInstance(shape.MakeGenericType(inner), new object[] { row });
    }

    static object Natural(Node node)
    {
        switch (node.Tag)
        {
            case 'n': return null;
            case 't': case 'f': return node.Tag == 't';
            case 'd': case 'm': return Floating(node, typeof(double));
            case 's': case 'c': return node.Text;
            case 'b': return Unhex(node.Text);
            case 'i':
                var value = BigInteger.Parse(node.Text);
                if (value >= int.MinValue && value <= int.MaxValue) return (int)value;
                return value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;
            case '{': return Container(node, typeof(Dictionary<object, object>));
            default: return Container(node, typeof(List<object>));
        }
    }

    // Results ----------------------------------------------------------------------------------------------------

    static void Utf16(string text, StringBuilder output)
    {
        output.Append('S');
        foreach (char unit in text) output.Append(((int)unit).ToString("x4"));
        output.Append(';');
    }

    static void Encode(object item, StringBuilder output, int depth)
    {
        if (depth > Depth) throw new Unrepresentable("nested too deep");
        if (item == null)
        {
            output.Append('n');
            return;
        }
        var type = item.GetType();
        if (type.IsEnum) throw new Unrepresentable("an enum has no canonical form");
        switch (Type.GetTypeCode(type))
        {
            case TypeCode.Boolean: output.Append((bool)item ? 't' : 'f'); return;
            case TypeCode.SByte: output.Append("i8:" + item + ";"); return;
            case TypeCode.Byte: output.Append("u8:" + item + ";"); return;
            case TypeCode.Int16: output.Append("i16:" + item + ";"); return;
            case TypeCode.UInt16: output.Append("u16:" + item + ";"); return;
            case TypeCode.Int32: output.Append("i32:" + item + ";"); return;
            case TypeCode.UInt32: output.Append("u32:" + item + ";"); return;
            case TypeCode.Int64: output.Append("i64:" + item + ";"); return;
            case TypeCode.UInt64: output.Append("u64:" + item + ";"); return;
            case TypeCode.Single:
                output.Append('e').Append(BitConverter.ToInt32(BitConverter.GetBytes((float)item), 0).ToString("x8"));
                output.Append(';');
                return;
            case TypeCode.Double:
                output.Append('d').Append(BitConverter.DoubleToInt64Bits((double)item).ToString("x16")).Append(';');
                return;
            case TypeCode.Char:
                if (char.IsSurrogate((char)item)) Utf16(item.ToString(), output);
                else output.Append('c').Append(Hex(Encoding.UTF8.GetBytes(item.ToString()))).Append(';');
                return;
            case TypeCode.String: Utf16((string)item, output); return;
        }
        var array = item as Array;
        var octets = item as byte[];
        if (item is BigInteger) output.Append('i').Append(item).Append(';');
        else if (item is StringBuilder) Utf16(item.ToString(), output);
        else if (octets != null) output.Append('b').Append(Hex(octets)).Append(';');
        else if (array != null && array.Rank == 2) EncodeGrid(array, output, depth);
        else if (item is IDictionary)
        {
            output.Append('{');
            foreach (DictionaryEntry pair in (IDictionary)item)
            {
                Encode(pair.Key, output, depth + 1);
                Encode(pair.Value, output, depth + 1);
            }
            output.Append('}');
        }
        else if (item is IEnumerable)
        {
            bool set = type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ISet<>));
            output.Append(set ? '<' : '[');
            int count = 0;
            foreach (var one in (IEnumerable)item)
            {
                if (++count > ItemsKept) throw new Unrepresentable("too many items");
                Encode(one, output, depth + 1);
            }
            output.Append(set ? '>' : ']');
        }
        else if (type.IsGenericType && Tupled(type))
        {
            output.Append('(');
            foreach (var part in Parts(item, type)) Encode(part, output, depth + 1);
            output.Append(')');
        }
        else throw new Unrepresentable("a " + type + " has no canonical form");
    }

    static bool Tupled(Type type)
    {
        var name = type.GetGenericTypeDefinition().FullName;
        return name.StartsWith("System.Tuple`") || name.StartsWith("System.ValueTuple`")
            || name.StartsWith("System.Collections.Generic.KeyValuePair`");
    }

    static IEnumerable<object> Parts(object item, Type type)
    {
        var fields = type.GetFields().Where(field => field.Name.StartsWith("Item"));
        if (fields.Any()) return fields.Select(field => field.GetValue(item));
        return type.GetProperties().Where(p => p.GetIndexParameters().Length == 0).Select(p => p.GetValue(item, null));
    }

    static void EncodeGrid(Array grid, StringBuilder output, int depth)
    {
        output.Append('[');
        for (int i = 0; i < grid.GetLength(0); i++)
        {
            output.Append('[');
            for (int j = 0; j < grid.GetLength(1); j++) Encode(grid.GetValue(i, j), output, depth + 2);
            output.Append(']');
        }
        output.Append(']');
    }

    // Calling ----------------------------------------------------------------------------------------------------

    static string Call(MethodInfo method, object self, string wire)
    {
        object[] arguments;
        MethodInfo chosen = method;
        try
        {
            int at = 0;
            var given = Read(wire, ref at).Items;
            if (given.Count != method.GetParameters().Length)
            {
                throw new Unrepresentable(given.Count + " arguments for " + method.GetParameters().Length + " parameters");
            }
            arguments = method.IsGenericMethodDefinition ? Instantiate(method, given, out chosen) : Fill(method, given);
        }
        catch (Exception error)
        {
            return "u " + Hexed(error.Message);
        }
        try
        {
            var output = new StringBuilder("v ");
            Encode(chosen.Invoke(self, arguments), output, 0);
            return output.ToString();
        }
        catch (Unrepresentable error)
        {
            return "u " + Hexed(error.Message);
        }
        catch (Exception error)
        {
            var told = Told(error);
            return (told.StartsWith("OutOfMemoryException") ? "m " : "e ") + Hexed(told);
        }
    }

    static object[] Fill(MethodInfo method, List<Node> given)
    {
        return method.GetParameters().Select((p, i) => Argument(given[i], p.ParameterType)).ToArray();
    }

    static object[] Instantiate(MethodInfo method, List<Node> given, out MethodInfo chosen)
    {
        Exception last = null;
        foreach (var instance in Instances)
        {
            try
            {
                chosen = method.MakeGenericMethod(method.GetGenericArguments().Select(_ => instance).ToArray());
                return Fill(chosen, given);
            }
            catch (Exception error)
            {
                last = error;
            }
        }
        throw last;
    }
}
