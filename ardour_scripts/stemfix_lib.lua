-- stemfix_lib: what the menu stubs share. The stubs load it; Ardour itself ignores it (it has no header).
--
-- How the files lie and who writes them
--   All *.lua of this folder lie side by side in Ardour's own scripts folder:
--   `ARDOUR.user_config_directory (-1) .. "/scripts/"`. The installer copies them there without changing a byte
--   and binds the stubs:
--     stemfix_enhance.lua               EditorAction  "stemfix: Enhance selected region"
--     stemfix_enhance_with_preset.lua   EditorAction  "stemfix: Enhance selected region with preset..."
--     stemfix_separate.lua              EditorAction  "stemfix: Separate only"
--     stemfix_import_last.lua           EditorAction  "stemfix: Import last result"
--     stemfix_open_comparison.lua       EditorAction  "stemfix: Open comparison page"
--     stemfix_hook.lua                  EditorHook    "stemfix: Finish jobs" (LuaTimerDS)
--   Ardour 7 keeps a copy of a bound script, so a stub does nothing but load `stemfix_lib.lua` from that folder;
--   an update of the other files needs no new binding.
--
-- stemfix_settings.lua, written by the installer beside them, returns one table:
--     return {
--       python = "/abs/path/of/python",     -- starts the engine with `-m stemfix engine`
--       data_dir = "/abs/path",             -- holds `spool/` and `engine.json`
--       preset = "balanced",                -- of "Enhance selected region"
--       background = false,                 -- true: no progress window, the hook brings the stems in
--       version = "0.1.0",                  -- of stemfix
--       presets = { "balanced", "fast" },   -- optional: what "with preset..." offers
--       environment = { STEMFIX_DATA_DIR = "/abs/path" },  -- optional: set for the engine
--     }
-- Strings are written with every byte outside printable ASCII as a decimal escape, so that any path survives.
--
-- Rules for every file here
--   No global is set. `for x in list:iter ()` is never written over a list that Ardour just handed out: Lua may
--   collect the list while it is walked, and Ardour crashes; `ipairs (list:table ())` is safe.
--   An error that leaves an action unbinds it until the next start, so `run` catches all of them.

local lib = { folder = ARDOUR.user_config_directory (-1) .. "/scripts/", name = "stemfix" }
local loaded = {}

--- The module in `stemfix_<name>.lua`: a function of this library that returns a table.
function lib.use (name)
  if not loaded[name] then
    local chunk, why = loadfile (lib.folder .. "stemfix_" .. name .. ".lua")
    if not chunk then lib.fail ("stemfix is not installed completely: " .. why .. ". Run: stemfix daw install ardour") end
    loaded[name] = chunk () (lib)
  end
  return loaded[name]
end

--- Give up with a sentence for the user.
function lib.fail (sentence)
  error ({ sentence = sentence }, 0)
end

--- Call `f` and return what it returns, or nil, the sentence that says why it failed, and how bad that is.
function lib.try (f, ...)
  local ok, result = pcall (f, ...)
  if ok then return result end
  if type (result) == "table" and result.sentence then return nil, result.sentence, "Warning" end
  return nil, "stemfix met an error of its own: " .. tostring (result), "Error"
end

--- What the installer wrote.
function lib.settings ()
  if not lib.known_settings then
    local chunk = loadfile (lib.folder .. "stemfix_settings.lua")
    if not chunk then lib.fail ("stemfix is not set up for Ardour. Run: stemfix daw install ardour") end
    local found = chunk ()
    if type (found) ~= "table" or not found.python or not found.data_dir then
      lib.fail ("stemfix_settings.lua can't be used. Run: stemfix daw install ardour")
    end
    lib.known_settings = found
  end
  return lib.known_settings
end

--- Add a line to `ardour.log` in the data folder; never fails.
function lib.log (...)
  local found = lib.try (lib.settings)
  local file = found and io.open (found.data_dir .. "/ardour.log", "a")
  if not file then return end
  local words = { os.date ("!%Y-%m-%d %H:%M:%S") }
  for i = 1, select ("#", ...) do words[#words + 1] = tostring ((select (i, ...))) end
  file:write ((table.concat (words, " "):gsub ("%c", " ")), "\n")
  file:close ()
end

--- Show the user a sentence; `kind` is "Info", "Warning" or "Error".
function lib.tell (kind, sentence)
  lib.log (kind .. ":", sentence)
  LuaDialog.Message ("stemfix", sentence, LuaDialog.MessageType[kind], LuaDialog.ButtonType.Close):run ()
end

--- Run one of the actions in `stemfix_actions.lua`. Whatever goes wrong is told, and nothing is thrown.
function lib.run (action)
  local _, why, kind = lib.try (function ()
    lib.log ("Action:", action)
    lib.use ("actions")[action] ()
    return true
  end)
  if why then lib.try (lib.tell, kind, why) end
  collectgarbage ()
end

return lib
