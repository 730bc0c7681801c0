ardour {
  ["type"] = "EditorAction",
  name = "stemfix: Enhance selected region",
  license = "GPL",
  author = "stemfix",
  description = [[Separate the selected regions into stems, enhance each one, and bring them in as new tracks beside the original.]],
}

function factory () return function ()
  local ok, why = pcall (function ()
    assert (loadfile (ARDOUR.user_config_directory (-1) .. "/scripts/stemfix_lib.lua")) ().run ("enhance")
  end)
  if not ok then
    LuaDialog.Message ("stemfix", "stemfix can't be loaded: " .. tostring (why) .. ". Run: stemfix daw install ardour",
      LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run ()
  end
end end
